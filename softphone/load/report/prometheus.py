"""The figures of a load run for Prometheus (text format 0.0.4), on loopback: GET of any path.

What they are is in `softphone.load.report.load_metrics`.
"""

from __future__ import annotations

from softphone.load.measure.tally import RunSecond
from softphone.load.report.load_metrics import Distribution, LoadMetric, MetricPoint, load_metrics
from softphone.monitoring import (
    Page,
    PageAccess,
    PageServer,
    append_family,
    append_histogram,
    escape_label,
)
from softphone.monitoring.exposition import CONTENT_TYPE


class PrometheusPage(PageServer):
    """An async context that serves the page; call `add_second` with each second of the run."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._run = RunSecond(0.0)
        self._second = RunSecond(0.0)
        super().__init__({"": self._page}, PageAccess(host, port), what="the Prometheus page")

    def add_second(self, second: RunSecond) -> None:
        """Add a second of the run to the page."""
        self._second = second
        self._run.follow(second)

    def _page(self) -> Page:
        return Page(exposition(self._second, self._run), content_type=CONTENT_TYPE)


def exposition(second: RunSecond, run: RunSecond) -> str:
    """Format the page: counters and histograms of the `run` so far, gauges of its last `second`."""
    lines: list[str] = []
    for metric in load_metrics(second, run):
        _append_metric(lines, metric)
    return "\n".join(lines) + "\n"


def _append_metric(lines: list[str], metric: LoadMetric) -> None:
    """Append a metric; a histogram here has no labels of its own."""
    name, meaning = metric.prometheus_name, metric.meaning
    values: dict[str, float] = {}
    for point in metric.points:
        value = point.value
        if isinstance(value, Distribution):
            append_histogram(lines, name, meaning, value.up_to, value.total, value.sum)
            return
        values[_labels(point)] = value
    append_family(lines, name, metric.kind.value, meaning, values)


def _labels(point: MetricPoint) -> str:
    written = ",".join(f'{name}="{escape_label(text)}"' for name, text in point.labels.items())
    return f"{{{written}}}" if written else ""
