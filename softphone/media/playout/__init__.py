"""softphone.media.playout."""

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
from softphone.media.playout.page_memory import zeros

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
    "zeros",
]
