"""What a load run counts: totals, histograms that can be merged, and causes of failure.

Counts and times only: reads no clock and sends nothing.  `softphone.load.run` measures the calls,
`softphone.load.distribute` merges the seconds of all workers, and `softphone.load.result` makes the
summary.  The statistics of a single stream are in `softphone.media.quality`.

Implements no standard: the histograms are log-linear, like HDR histograms; a cause is a SIP reason
phrase (`softphone.sip.message`) or a short word.
"""

from __future__ import annotations

from softphone.load.measure.failed_call import FailedCall
from softphone.load.measure.failure_cause import end_cause, failure_cause, status_cause
from softphone.load.measure.generator_check import GeneratorCheck
from softphone.load.measure.histogram import Histogram
from softphone.load.measure.operation import (
    DELIVERY,
    FULL_HANDSHAKE,
    FULL_RECOVERY,
    NOTIFICATION,
    OPERATIONS,
    RECOVERY,
    REFRESH,
    RESUBSCRIPTION,
    RESUMED_HANDSHAKE,
    SIGN_IN,
    SUBSCRIPTION,
    Operation,
    OperationTallies,
    OperationTally,
)
from softphone.load.measure.run_log import RunLog
from softphone.load.measure.tally import (
    BYE_UNANSWERED,
    CONNECTION_LOST,
    MEDIA_STOPPED,
    NO_MEDIA,
    TOLERATE_LATE,
    RunSecond,
    Tally,
)

__all__ = [
    "BYE_UNANSWERED",
    "CONNECTION_LOST",
    "DELIVERY",
    "FULL_HANDSHAKE",
    "FULL_RECOVERY",
    "MEDIA_STOPPED",
    "NOTIFICATION",
    "NO_MEDIA",
    "OPERATIONS",
    "RECOVERY",
    "REFRESH",
    "RESUBSCRIPTION",
    "RESUMED_HANDSHAKE",
    "SIGN_IN",
    "SUBSCRIPTION",
    "TOLERATE_LATE",
    "FailedCall",
    "GeneratorCheck",
    "Histogram",
    "Operation",
    "OperationTallies",
    "OperationTally",
    "RunLog",
    "RunSecond",
    "Tally",
    "end_cause",
    "failure_cause",
    "status_cause",
]
