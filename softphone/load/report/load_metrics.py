"""The metrics of a load run, described once: name, kind, unit, meaning, and values.

Prometheus' page and OpenTelemetry's export are both made from this.  Names follow Prometheus'
rules: base units, counters end in `_total`, distributions are histograms, which add up over
processes.  OpenTelemetry's name has neither the unit nor `_total`; what turns one into the other is
the rule by which Prometheus itself takes OTLP: dots become underscores, `s` becomes `_seconds`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from softphone.load.measure.histogram import Histogram
from softphone.load.measure.operation import OPERATIONS
from softphone.load.measure.tally import RunSecond, Tally

WAIT_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""The upper bounds, in seconds, of the buckets of what a caller waits for."""
LATENESS_BOUNDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5)
JITTER_BOUNDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1)
MOS_BOUNDS = (1.5, 2.0, 2.5, 3.0, 3.25, 3.5, 3.6, 3.7, 3.8, 3.9, 4.0, 4.1, 4.2, 4.3, 4.4)
MILLISECONDS = 1e3
OBSERVED = "of calls that are up, observed once a second."
SECONDS = "s"
"""The unit of times, as UCUM writes it."""


class MetricKind(StrEnum):
    """What a metric is, in Prometheus' words."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Distribution:
    """A histogram's state: `up_to` counts the values up to each bound, `total` all.

    `sum`, `minimum` and `maximum` are in the metric's unit; of no values they are 0.
    """

    up_to: Mapping[float, int]
    total: int
    sum: float
    minimum: float
    maximum: float


@dataclass(frozen=True, slots=True)
class MetricPoint:
    """A value, or a distribution, under its labels."""

    value: float | Distribution
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LoadMetric:
    """One metric; `meaning` is a sentence, `unit` UCUM's code or "" for counts and scores."""

    name: str
    kind: MetricKind
    meaning: str
    points: Sequence[MetricPoint]
    unit: str = ""

    @property
    def otel_name(self) -> str:
        """Its name for OpenTelemetry."""
        return f"softphone_load.{self.name}"

    @property
    def prometheus_name(self) -> str:
        """Its name for Prometheus."""
        unit = "_seconds" if self.unit == SECONDS else ""
        total = "_total" if self.kind is MetricKind.COUNTER else ""
        return f"softphone_load_{self.name}{unit}{total}"


def load_metrics(second: RunSecond, run: RunSecond) -> Iterator[LoadMetric]:
    """Counters and histograms of the `run` so far, gauges of its last `second`."""
    yield from _counters(run.tally)
    yield from _failures(run.tally)
    for name, meaning, value in (
        # A gauge: packets that arrive late reduce the loss, and a counter must never fall.
        ("packets_lost", "Media packets lost since the start of the run.", run.tally.lost),
        ("calls_up", "Calls that are up.", second.up),
        ("workers", "Processes that make calls.", second.workers),
        ("cpu_ratio", "Processor time over time, of the busiest process.", second.cpu),
    ):
        yield LoadMetric(name, MetricKind.GAUGE, meaning, [MetricPoint(value)])
    yield from _distributions(run)
    yield from _operations(run.tally)


def _counters(total: Tally) -> Iterator[LoadMetric]:
    for name, meaning, value, unit in (
        ("calls_attempted", "Calls begun.", total.attempted, ""),
        ("calls_answered", "Calls answered.", total.answered, ""),
        ("registrations", "Registrations attempted.", total.registrations, ""),
        ("registrations_granted", "Registrations granted.", total.registered, ""),
        ("packets_sent", "Media packets sent.", total.sent, ""),
        ("packets_received", "Media packets received.", total.received, ""),
        ("packets_late", "Own packets more than 5 ms late.", total.late, ""),
        ("packets_too_late", "Own packets more than 20 ms late.", total.too_late, ""),
        ("packets_skipped", "Own packets skipped since they were too late.", total.skipped, ""),
        ("cpu", "Processor time of the generator.", total.cpu_seconds, SECONDS),
        ("call", "Time of all calls together.", total.call_seconds, SECONDS),
    ):
        yield LoadMetric(name, MetricKind.COUNTER, meaning, [MetricPoint(value)], unit)


def _failures(total: Tally) -> Iterator[LoadMetric]:
    for name, meaning, found in (
        ("calls_failed", "Calls without an answer or without media.", total.failed),
        ("calls_dropped", "Answered calls that were lost.", total.dropped),
        ("registrations_refused", "Registrations refused.", total.registrations_failed),
    ):
        points = [MetricPoint(count, {"cause": cause}) for cause, count in found.items()]
        yield LoadMetric(name, MetricKind.COUNTER, meaning, points)


def _distributions(run: RunSecond) -> Iterator[LoadMetric]:
    total = run.tally
    from_schedule = "From when the schedule had a call to its answer."
    for name, meaning, values, bounds in (
        ("setup", "From INVITE to answer.", total.setup_ms, WAIT_BOUNDS),
        ("arrival", from_schedule, total.arrival_ms, WAIT_BOUNDS),
        ("registration", "From REGISTER to its answer.", total.registration_ms, WAIT_BOUNDS),
        ("lateness", "Lateness of own packets.", total.lateness_ms, LATENESS_BOUNDS),
        ("jitter", f"Jitter {OBSERVED}", run.jitter_now_ms, JITTER_BOUNDS),
    ):
        yield _times(name, meaning, values, bounds)
    meaning = f"Narrowband mean opinion score (G.107) {OBSERVED}"
    scores = _distribution(run.mos_now, MOS_BOUNDS, 1.0)
    yield LoadMetric("mos", MetricKind.HISTOGRAM, meaning, [MetricPoint(scores)])


def _operations(total: Tally) -> Iterator[LoadMetric]:
    """The operations of runs without calls; the name of each histogram says which."""
    operations = total.operations
    for name, meaning, part in (
        ("operations_attempted", "Operations begun, of runs without calls.", "attempted"),
        ("operations_succeeded", "Operations that succeeded.", "succeeded"),
    ):
        points = [
            MetricPoint(getattr(tally, part), {"operation": each})
            for each, tally in operations.items()
        ]
        yield LoadMetric(name, MetricKind.COUNTER, meaning, points)
    failed = [
        MetricPoint(count, {"operation": each, "cause": cause})
        for each, tally in operations.items()
        for cause, count in tally.failed.items()
    ]
    meaning = "Operations that failed."
    yield LoadMetric("operations_failed", MetricKind.COUNTER, meaning, failed)
    for each, tally in operations.items():
        meaning = f"Latency of operations: {OPERATIONS[each].meaning}."
        yield _times(each, meaning, tally.ms, WAIT_BOUNDS)


def _times(name: str, meaning: str, values: Histogram, bounds: Sequence[float]) -> LoadMetric:
    """A histogram of times that are counted in milliseconds."""
    points = [MetricPoint(_distribution(values, bounds, MILLISECONDS))]
    return LoadMetric(name, MetricKind.HISTOGRAM, meaning, points, SECONDS)


def _distribution(histogram: Histogram, bounds: Sequence[float], unit: float) -> Distribution:
    """The state of a histogram whose values are `unit` times the base unit."""
    counts = histogram.counts_up_to([bound * unit for bound in bounds])
    return Distribution(
        dict(zip(bounds, counts, strict=True)),
        histogram.total,
        histogram.sum / unit,
        histogram.minimum / unit if histogram.total else 0.0,
        histogram.maximum / unit,
    )
