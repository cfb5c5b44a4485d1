"""What a load run counts: totals, histograms that can be merged, and causes of failure.

Counts and times only: no clock is read and nothing is sent here.  Calls are measured in
`softphone.load.run`, the seconds of all workers are added up in `softphone.load.distribute`, and
the summary is in `softphone.load.result`.  The statistics of one stream are in
`softphone.media.quality`.

No standard: the histograms are log-linear, as HDR histograms are, and causes are the reason
phrases of SIP (`softphone.sip.message`) or short words.
"""

from __future__ import annotations

from softphone.load.measure.failure_cause import end_cause, failure_cause
from softphone.load.measure.histogram import Histogram
from softphone.load.measure.tally import NO_MEDIA, TOLERATE_LATE, RunSecond, Tally

__all__ = [
    "NO_MEDIA",
    "TOLERATE_LATE",
    "Histogram",
    "RunSecond",
    "Tally",
    "end_cause",
    "failure_cause",
]
