"""softphone.media.tick."""

from __future__ import annotations

from softphone.media.tick.lateness import BIN_MS, BINS, LatenessHistogram, LatenessNotice
from softphone.media.tick.rtcp import make_bye
from softphone.media.tick.stream_commands import RemoteAddresses
from softphone.media.tick.tick import TickTime, run_receive_half, run_send_half, skip_frames

__all__ = [
    "BINS",
    "BIN_MS",
    "LatenessHistogram",
    "LatenessNotice",
    "RemoteAddresses",
    "TickTime",
    "make_bye",
    "run_receive_half",
    "run_send_half",
    "skip_frames",
]
