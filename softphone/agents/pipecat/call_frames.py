"""What a call has and a room has not, as frames and metrics of pipecat's."""

from __future__ import annotations

from dataclasses import dataclass

from pipecat.frames.frames import DataFrame, SystemFrame
from pipecat.metrics.metrics import MetricsData

from softphone.events import CallEvent, StreamStatistics


@dataclass
class CallEventFrame(SystemFrame):
    """An event of the call: answering machines, tones, speech, security, hold, the end.

    Digits come as pipecat's `InputDTMFFrame`.
    """

    event: CallEvent


@dataclass
class PlaybackInterruptedFrame(SystemFrame):
    """An interruption has discarded sound that was not sent yet.

    `sent_seconds` is how much was sent since the bot began to speak: what the far end has heard, or
    is about to hear.  `discarded_seconds` counts what had been handed to the call.
    """

    sent_seconds: float
    discarded_seconds: float


@dataclass
class CallTransferFrame(DataFrame):
    """Transfers the far end to `target`, when all that was said before has been played.

    `target` is what `Call.transfer` takes: a user, a number, a SIP URI.
    """

    target: str


@dataclass
class CallHoldFrame(DataFrame):
    """Puts the far end on hold, when all that was said before has been played."""


@dataclass
class CallResumeFrame(DataFrame):
    """Takes the far end off hold."""


class CallMetricsData(MetricsData):
    """The quality of a call's media, in a `MetricsFrame`; fields as in `StreamStatistics`.

    `mos` is for what we hear, `remote_mos` for what the far end hears; None before a report.
    """

    packets_sent: int
    packets_received: int
    cumulative_lost: int
    interarrival_jitter_ms: float
    round_trip_time_ms: float | None
    playout_delay_ms: float
    mos: float | None
    remote_mos: float | None

    @classmethod
    def of(cls, processor: str, statistics: StreamStatistics) -> CallMetricsData:
        """Take the figures of a call's statistics."""
        names = [name for name in cls.model_fields if name not in MetricsData.model_fields]
        figures = {name: getattr(statistics, name) for name in names}
        return cls(processor=processor, **figures)
