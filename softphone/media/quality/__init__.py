"""softphone.media.quality."""

from __future__ import annotations

from softphone.media.quality.statistics import (
    COLUMNS,
    Column,
    fill_numbers,
    fill_reports,
    read_statistics,
    stream_statistics,
)
from softphone.media.quality.voip_metrics import voip_metrics

__all__ = [
    "COLUMNS",
    "Column",
    "fill_numbers",
    "fill_reports",
    "read_statistics",
    "stream_statistics",
    "voip_metrics",
]
