"""What a run has counted: totals and histograms that add up over seconds and over workers.

A `Tally` serves as a difference and as a total: each second of each worker is one, and the run is
their sum.  Counts and times only; reads no clock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from softphone.load.measure.histogram import Histogram
from softphone.load.measure.operation import OperationTallies

TOLERATE_LATE = 1.0
"""The default share of our packets, in percent, that may leave more than a frame late."""

LATE_MS = 5.0
"""Milliseconds of lateness above which a packet counts as late."""
TOO_LATE_MS = 20.0
"""One frame in milliseconds; the far end sees anything later as jitter of ours."""

NO_MEDIA = "no_media"
"""The cause of a call that was answered, but whose far end sent no packet."""

MEDIA_STOPPED = "media_stopped"
"""The cause of a call whose far end sent, but no more towards the end of the call."""
BYE_UNANSWERED = "BYE without an answer"
"""The cause of a call that we ended, and whose far end did not answer the BYE."""
CONNECTION_LOST = "connection lost"
"""The cause of a call that we ended, and whose connection was gone by then."""

TENTH = 0.1
HUNDREDTH = 0.01
THOUSANDTH = 0.001


def _milliseconds() -> Histogram:
    return Histogram(TENTH)


@dataclass(slots=True)
class Tally:
    """Counts of calls, registrations and packets.

    `failed` counts, by cause, calls that were not answered and answered calls whose far end sent
    nothing (NO_MEDIA).  `dropped` counts answered calls that were lost: they ended before we ended
    them, or with MEDIA_STOPPED, BYE_UNANSWERED or CONNECTION_LOST.  `ended` counts all answered
    calls by who ended them, or why they were lost.

    `registrations` are attempts; `retried` of them were refused and repeated, so that the others
    belong to one user each.  `due` counts our packets whose time came: they were sent, or `skipped`
    where media time jumped.  `late` of them were more than 5 ms late, `too_late` more than 20 ms;
    `lateness_ms` has one value for each.  Skipped packets count as late.  `mos`, `jitter_ms` and
    `loss` (percent) have one value for each whole call.  `media_paths` counts the processes that
    place calls by the path that their media take.  `held_back` is the time in seconds that calls
    began later than scheduled, because the most allowed calls were up.  `setup_ms` is from the
    INVITE to the answer, `arrival_ms` from when the schedule had the call: what delayed the
    generator, or made a call wait for a slot, is in it (no coordinated omission).
    `signaling` counts what a SIPp scenario met: retransmissions, malformed messages, and messages
    of no call; and what a run without calls met, such as changes of message waiting.
    `operations` are what a run without calls repeats, and `span` its seconds, of each worker in
    proportion, so that those of all add up to the time that passed.
    """

    attempted: int = 0
    answered: int = 0
    held_back: float = 0.0
    failed: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    suites: Counter[str] = field(default_factory=Counter)
    media_paths: Counter[str] = field(default_factory=Counter)
    injected: Counter[str] = field(default_factory=Counter)
    setup_ms: Histogram = field(default_factory=_milliseconds)
    arrival_ms: Histogram = field(default_factory=_milliseconds)
    registrations: int = 0
    registered: int = 0
    retried: int = 0
    registrations_failed: Counter[str] = field(default_factory=Counter)
    registration_ms: Histogram = field(default_factory=_milliseconds)
    sent: int = 0
    received: int = 0
    lost: int = 0
    due: int = 0
    late: int = 0
    too_late: int = 0
    skipped: int = 0
    overflows: int = 0
    jumps: int = 0
    mos: Histogram = field(default_factory=lambda: Histogram(THOUSANDTH))
    jitter_ms: Histogram = field(default_factory=lambda: Histogram(HUNDREDTH))
    loss: Histogram = field(default_factory=lambda: Histogram(THOUSANDTH))
    lateness_ms: Histogram = field(default_factory=_milliseconds)
    checked: int = 0
    heard: int = 0
    signaling: Counter[str] = field(default_factory=Counter)
    call_seconds: float = 0.0
    cpu_seconds: float = 0.0
    operations: OperationTallies = field(default_factory=OperationTallies)
    span: float = 0.0

    def count_lateness(self, late_ms: float, packets: int) -> None:
        """Count `packets` of ours that left, or were skipped, `late_ms` after their time."""
        self.lateness_ms.record_value(late_ms, packets)
        self.due += packets
        self.late += packets if late_ms > LATE_MS else 0
        self.too_late += packets if late_ms > TOO_LATE_MS else 0

    def merge(self, other: Tally) -> None:
        """Add the counts of another tally."""
        for name in self.__slots__:
            theirs = getattr(other, name)
            if not theirs:
                continue
            if isinstance(theirs, Histogram | OperationTallies):
                getattr(self, name).merge(theirs)
            elif isinstance(theirs, Counter):
                getattr(self, name).update(theirs)
            else:
                setattr(self, name, getattr(self, name) + theirs)

    def to_plain(self) -> dict[str, Any]:
        """The tally as JSON values, for `from_plain`."""
        found: dict[str, Any] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, Histogram | OperationTallies):
                value = value.to_plain()
            elif isinstance(value, Counter):
                value = dict(value)
            found[each.name] = value
        return found

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Read what `to_plain` gave."""
        made = cls()
        for each in fields(made):
            value = plain[each.name]
            kind = type(getattr(made, each.name))
            if kind in (Histogram, OperationTallies):
                value = kind.from_plain(value)
            elif kind is Counter:
                value = Counter(value)
            setattr(made, each.name, value)
        return made

    @property
    def served(self) -> int:
        """Answered calls whose far end sent media."""
        return self.answered - self.failed[NO_MEDIA]

    @property
    def expected(self) -> int:
        """The packets that the far ends have sent, by their sequence numbers."""
        return self.received + self.lost

    @property
    def loss_percent(self) -> float:
        """The share of expected packets that were lost, in percent."""
        return 100.0 * self.lost / self.expected if self.expected > 0 else 0.0

    @property
    def late_percent(self) -> float:
        """The share of our packets that were more than 5 ms late, in percent."""
        return 100.0 * self.late / self.due if self.due else 0.0

    @property
    def too_late_percent(self) -> float:
        """The share of our packets that were more than 20 ms late, in percent."""
        return 100.0 * self.too_late / self.due if self.due else 0.0

    @property
    def cpu_ms_per_call_second(self) -> float:
        """Our processor time for each second of each call, in milliseconds."""
        return 1000.0 * self.cpu_seconds / self.call_seconds if self.call_seconds else 0.0


@dataclass(slots=True)
class RunSecond:
    """One second of a run: what happened in it, and the state at its end.

    `at` is its end in seconds since the start.  `up` calls were up then; `peak` is the most that
    were up since the previous second (for several workers, the sum of their peaks).  `mos_now` and
    `jitter_now_ms` are those of the calls that are up, or of a sample when there are many.  `cpu`
    is our share of one core.  `workers` is how many workers are merged here.  `length` is 1.0, or
    how many seconds were joined to this one.
    """

    at: float
    up: int = 0
    peak: int = 0
    tally: Tally = field(default_factory=Tally)
    mos_now: Histogram = field(default_factory=lambda: Histogram(THOUSANDTH))
    jitter_now_ms: Histogram = field(default_factory=lambda: Histogram(HUNDREDTH))
    cpu: float = 0.0
    workers: int = 1
    length: float = 1.0

    def merge(self, other: RunSecond) -> None:
        """Add the same second of another worker; `cpu` becomes that of the busier one."""
        self.up += other.up
        self.peak += other.peak
        self.tally.merge(other.tally)
        self.mos_now.merge(other.mos_now)
        self.jitter_now_ms.merge(other.jitter_now_ms)
        self.cpu = max(self.cpu, other.cpu)
        self.workers += other.workers

    def follow(self, later: RunSecond) -> None:
        """Extend this interval by the one after it."""
        self.at, self.up, self.workers = later.at, later.up, later.workers
        self.length += later.length
        self.peak = max(self.peak, later.peak)
        self.tally.merge(later.tally)
        self.mos_now.merge(later.mos_now)
        self.jitter_now_ms.merge(later.jitter_now_ms)
        self.cpu = max(self.cpu, later.cpu)

    def to_plain(self) -> dict[str, Any]:
        """The second as JSON values, for `from_plain`."""
        return {
            "at": self.at,
            "up": self.up,
            "peak": self.peak,
            "tally": self.tally.to_plain(),
            "mos_now": self.mos_now.to_plain(),
            "jitter_now_ms": self.jitter_now_ms.to_plain(),
            "cpu": self.cpu,
            "workers": self.workers,
            "length": self.length,
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Read what `to_plain` gave."""
        return cls(
            at=plain["at"],
            up=plain["up"],
            peak=plain["peak"],
            tally=Tally.from_plain(plain["tally"]),
            mos_now=Histogram.from_plain(plain["mos_now"]),
            jitter_now_ms=Histogram.from_plain(plain["jitter_now_ms"]),
            cpu=plain["cpu"],
            workers=plain["workers"],
            length=plain["length"],
        )
