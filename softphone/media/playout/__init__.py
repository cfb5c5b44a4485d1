"""softphone.media.playout."""

from __future__ import annotations

from softphone.media.playout.batch_rounds import Rounds, Runs
from softphone.media.playout.concealment import Concealment
from softphone.media.playout.frame import CONCEALED, PLAYED, Frames, FrameStatus, PlayoutConfig
from softphone.media.playout.jitter_buffer import PlayoutBank
from softphone.media.playout.loss_bursts import GMIN
from softphone.media.playout.page_memory import zeros

__all__ = [
    "CONCEALED",
    "GMIN",
    "PLAYED",
    "Concealment",
    "FrameStatus",
    "Frames",
    "PlayoutBank",
    "PlayoutConfig",
    "Rounds",
    "Runs",
    "zeros",
]
