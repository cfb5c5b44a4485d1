"""Jitter buffers for all audio streams, with adaptive delay and loss concealment.

Encoded payloads wait until their playout time, which RTP timestamps give; missing decoded frames
are concealed.  `softphone.media.tick` checks and authenticates packets before, `softphone_codecs`
decodes them, `softphone.media.video` reassembles video, and `softphone.media.quality` has the
quality figures.  This package reads no clock.

RFC 3550 sections 5.1, 8.2 and A.1 (extended sequence numbers, sources that start again), RFC 3611
section 4.7.2 (bursts and gaps), RFC 4733 section 2.1 (timestamps of events).  Concealment is
simpler than that of ITU-T G.711 Appendix I.
"""

from __future__ import annotations

from softphone.media.playout.batch_rounds import BatchRounds, PacketRuns
from softphone.media.playout.concealment import Concealment
from softphone.media.playout.frame import (
    CONCEALED,
    PLAYED,
    FrameStatus,
    JitterBufferConfig,
    PlayoutFrames,
)
from softphone.media.playout.jitter_buffer import JitterBufferBank
from softphone.media.playout.loss_bursts import GMIN

__all__ = [
    "CONCEALED",
    "GMIN",
    "PLAYED",
    "BatchRounds",
    "Concealment",
    "FrameStatus",
    "JitterBufferBank",
    "JitterBufferConfig",
    "PacketRuns",
    "PlayoutFrames",
]
