"""softphone.load.measure."""

from __future__ import annotations

from softphone.load.measure.failure_cause import cause_of, end_of
from softphone.load.measure.histogram import Histogram
from softphone.load.measure.tally import Second, Tally

__all__ = ["Histogram", "Second", "Tally", "cause_of", "end_of"]
