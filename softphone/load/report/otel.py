"""The figures of a load run for an OpenTelemetry collector: what Prometheus' page has, pushed.

What they are is in `softphone.load.report.load_metrics`; sums and histograms are cumulative, from
the start of the run on.  The histograms have been counted by the workers, value by value, so that
no instrument of the SDK has a part in them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from softphone._version import __version__
from softphone.load.measure.tally import RunSecond
from softphone.load.plan import LoadPlan, OtelSpec
from softphone.load.report.load_metrics import (
    Distribution,
    LoadMetric,
    MetricKind,
    MetricPoint,
    load_metrics,
)
from softphone.monitoring import OtlpExporter, require_otel
from softphone.monitoring.otlp import METRICS

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import Metric, MetricsData

EVERY = 5.0
"""Seconds of the run from one export to the next."""
BATCH = 4
"""Exports in one request, when the collector could not take those before."""


class OtelMetrics:
    """An async context that sends the metrics of a run; call `add_second` with each second of it.

    `wall` gives nanoseconds since 1970.  Raises ConfigurationError without the extra, and for a
    collector that cannot be used.
    """

    def __init__(
        self, spec: OtelSpec, plan: LoadPlan, *, wall: Callable[[], int] = time.time_ns
    ) -> None:
        require_otel()
        self._resource = spec.resource(plan.scenario)
        self._exporter = OtlpExporter(spec.config(), METRICS, batch=BATCH)
        self._run = RunSecond(0.0)
        self._second = RunSecond(0.0)
        self._wall = wall
        self._begun = wall()
        self._sent_at = 0.0
        self._unsent = False

    async def __aenter__(self) -> Self:
        await self._exporter.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._unsent:
            self._export()
        await self._exporter.__aexit__(kind, error, trace)

    def add_second(self, second: RunSecond) -> None:
        """Add a second of the run, and send the metrics when they are due."""
        if second.at < self._sent_at:
            self._sent_at = 0.0  # the next run of a search
        self._second = second
        self._run.follow(second)
        self._unsent = True
        if second.at - self._sent_at >= EVERY - 0.5:
            self._sent_at = second.at
            self._export()

    def _export(self) -> None:
        self._unsent = False
        times = (self._begun, self._wall())
        self._exporter.add(metrics_data(self._second, self._run, self._resource, times))


def metrics_data(
    second: RunSecond, run: RunSecond, resource: Mapping[str, str | int], times: tuple[int, int]
) -> MetricsData:
    """Make what is exported; `times` are the start of the run and now, in ns since 1970.

    Metrics without a value, such as failures of a run without any, are absent; so are histograms of
    nothing.
    """
    from opentelemetry.sdk.metrics.export import MetricsData, ResourceMetrics, ScopeMetrics
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    found = [_metric(each, times) for each in load_metrics(second, run) if _has_values(each)]
    scope = ScopeMetrics(InstrumentationScope("softphone", __version__), found, "")
    return MetricsData([ResourceMetrics(Resource(dict(resource)), [scope], "")])


def _has_values(metric: LoadMetric) -> bool:
    values = [point.value for point in metric.points]
    return any(not isinstance(each, Distribution) or each.total for each in values)


def _metric(metric: LoadMetric, times: tuple[int, int]) -> Metric:
    from opentelemetry.sdk.metrics import export

    cumulative = export.AggregationTemporality.CUMULATIVE
    points: list[Any] = [_point(each, times) for each in metric.points]
    data: Any
    if metric.kind is MetricKind.HISTOGRAM:
        data = export.Histogram(points, cumulative)
    elif metric.kind is MetricKind.COUNTER:
        data = export.Sum(points, cumulative, is_monotonic=True)
    else:
        data = export.Gauge(points)
    return export.Metric(metric.otel_name, metric.meaning, metric.unit, data)


def _point(point: MetricPoint, times: tuple[int, int]) -> Any:
    from opentelemetry.sdk.metrics import export

    begun, now = times
    labels, value = dict(point.labels), point.value
    if not isinstance(value, Distribution):
        return export.NumberDataPoint(labels, begun, now, value)
    counts, before = [], 0
    for up_to in (*value.up_to.values(), value.total):
        counts.append(up_to - before)
        before = up_to
    return export.HistogramDataPoint(
        labels,
        begun,
        now,
        count=value.total,
        sum=value.sum,
        bucket_counts=counts,
        explicit_bounds=list(value.up_to),
        min=value.minimum,
        max=value.maximum,
    )
