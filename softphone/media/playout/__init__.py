"""Jitter buffers of a whole bank of streams, with adaptive delay and loss concealment.

Payloads wait here until they are due, by RTP time, and decoded frames that are missing are
concealed.  Packets are checked and authenticated before, in `softphone.media.tick`; decoding is in
`softphone_codecs`, video reassembly in `softphone.media.video`, quality figures in
`softphone.media.quality`.  It reads no clock.

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
