"""softphone.load.measure."""

from __future__ import annotations

from softphone.load.measure.failure_cause import end_cause, failure_cause
from softphone.load.measure.histogram import Histogram
from softphone.load.measure.tally import RunSecond, Tally

__all__ = ["Histogram", "RunSecond", "Tally", "end_cause", "failure_cause"]
