"""The charts of a run over time: the live page and the report draw these, from the same points.

A point is one second of the run.  The page draws with `live/static/chart.js`, the report with
`report/svg_plot.py`, which needs no script; both take their colors from `live/static/chart.css`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from softphone.load.measure import Histogram, OperationTally, RunSecond
from softphone.load.result import failure_causes

CAUSES = 20
"""How many causes of failure a point has, the most frequent first."""
DRAWN_CAUSES = 3
"""How many causes of failure are lines, the most frequent of the run."""

FAILURES, PROCESSOR = "failures a second", "generator: processor"
_OF_ALL = (FAILURES, PROCESSOR)
"""Titles of charts that runs without calls have, too."""


@dataclass(frozen=True, slots=True)
class RunChart:
    """A chart: its title and unit, and lines, each a field of the points and a label.

    The axis spans at least `floor` to `ceiling`; None: by the data.  A chart without `lines` draws
    failures by cause.
    """

    title: str
    unit: str = ""
    lines: tuple[tuple[str, str], ...] = ()
    floor: float = 0.0
    ceiling: float | None = None

    @property
    def name(self) -> str:
        """The title with the unit."""
        return f"{self.title}, {self.unit}" if self.unit else self.title

    def to_plain(self) -> dict[str, Any]:
        """The chart as JSON values."""
        return asdict(self)


CHARTS: tuple[RunChart, ...] = (
    RunChart("calls up", lines=(("up", "up"),)),
    RunChart("calls a second", lines=(("attempted", "begun"), ("answered", "set up"))),
    RunChart(
        "set-up latency",
        "ms",
        (("setup50", "p50"), ("setup95", "p95"), ("setup99", "p99")),
    ),
    RunChart(
        "MOS",
        "narrowband (ITU-T G.107)",
        (("mos50", "p50"), ("mos5", "p5")),
        floor=1.0,
        ceiling=4.5,
    ),
    RunChart("packets lost", "%", (("loss", "lost"),)),
    RunChart("jitter", "ms", (("jitter50", "p50"), ("jitter95", "p95"))),
    RunChart(FAILURES),
    RunChart(PROCESSOR, "% of a core", (("cpu", "used"),), ceiling=100.0),
    RunChart("generator: packets left late", "ms", (("late99", "p99"),)),
)
"""The charts of a run of calls, in order."""


def operation_charts(operations: Iterable[str]) -> tuple[RunChart, ...]:
    """Return the charts of a run without calls: two for each of its operations, by name."""
    charts = [RunChart("users, or what is under way", lines=(("up", "at once"),))]
    for name in operations:
        words = name.replace("_", " ")
        counted = ((f"{name}_succeeded", "succeeded"), (f"{name}_failed", "failed"))
        timed = ((f"{name}_p50", "p50"), (f"{name}_p99", "p99"))
        charts += [RunChart(f"{words}, a second", lines=counted)]
        charts += [RunChart(f"{words}: latency", "ms", timed)]
    generator = (chart for chart in CHARTS if chart.title in _OF_ALL)
    return (*charts, *generator)


def run_point(second: RunSecond, operations: Iterable[str] = ()) -> dict[str, Any]:
    """Return one second as a point of the charts, with the fields of these operations.

    Latencies are in ms, `at` in s, `loss` and `cpu` in percent.  Of several seconds that were
    joined, what is counted is the mean of a second.
    """
    tally = second.tally

    def rate(count: int) -> float:
        return count if second.length == 1.0 else round(count / second.length, 2)

    counted: dict[str, Any] = {}
    for name in operations:
        operation = tally.operations.get(name) or OperationTally()
        counted[f"{name}_succeeded"] = rate(operation.succeeded)
        counted[f"{name}_failed"] = rate(operation.failed.total())
        counted[f"{name}_p50"] = _rank(operation.ms, 0.5, 1)
        counted[f"{name}_p99"] = _rank(operation.ms, 0.99, 1)
    return counted | {
        "at": round(second.at, 1),
        "up": second.up,
        "answered": rate(tally.answered),
        "attempted": rate(tally.attempted),
        "causes": {
            cause: rate(count)
            for cause, count in Counter(failure_causes(tally)).most_common(CAUSES)
        },
        "setup50": _rank(tally.setup_ms, 0.5, 1),
        "setup95": _rank(tally.setup_ms, 0.95, 1),
        "setup99": _rank(tally.setup_ms, 0.99, 1),
        "mos5": _rank(second.mos_now, 0.05, 2),
        "mos50": _rank(second.mos_now, 0.5, 2),
        "jitter50": _rank(second.jitter_now_ms, 0.5, 1),
        "jitter95": _rank(second.jitter_now_ms, 0.95, 1),
        "loss": round(max(0.0, tally.loss_percent), 3) if tally.expected > 0 else None,
        "cpu": round(100.0 * second.cpu, 1),
        "late99": _rank(tally.lateness_ms, 0.99, 1),
    }


def chart_lines(
    chart: RunChart, points: Sequence[dict[str, Any]], causes: Sequence[str]
) -> list[tuple[str, list[tuple[float, float | None]]]]:
    """Return the lines of a chart, each a label and points (seconds, value or None).

    `causes` are those of the run, most frequent first.
    """
    if chart.lines:
        return [
            (label, [(point["at"], point[name]) for point in points]) for name, label in chart.lines
        ]
    return [
        (cause, [(point["at"], float(point["causes"].get(cause, 0))) for point in points])
        for cause in causes[:DRAWN_CAUSES]
    ]


def _rank(histogram: Histogram, share: float, digits: int) -> float | None:
    value = histogram.quantile(share)
    return None if value is None else round(value, digits)
