"""softphone.media.tick."""

from __future__ import annotations

from softphone.media.tick.lateness import BIN_MS, BINS, LatenessHistogram, LatenessNotice
from softphone.media.tick.rtcp import farewell
from softphone.media.tick.stream_commands import FarEnd
from softphone.media.tick.tick import Moment, hear, skip, speak

__all__ = [
    "BINS",
    "BIN_MS",
    "FarEnd",
    "LatenessHistogram",
    "LatenessNotice",
    "Moment",
    "farewell",
    "hear",
    "skip",
    "speak",
]
