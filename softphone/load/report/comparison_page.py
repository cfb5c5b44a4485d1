"""The comparison of runs as one self-contained HTML file, in the style of a run's report."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape
from pathlib import Path

from softphone._version import __version__
from softphone.load.compare import Change, RunComparison, RunRecord
from softphone.load.compare.regression import difference_text, interval_text, value_text
from softphone.load.measure import Histogram
from softphone.load.plan import ExpectationVerdict
from softphone.load.report.html import html_page, verdict_table, wide_table
from softphone.load.report.svg_plot import PlotSeries, line_plot
from softphone.trust.disk import write_private

_CLASSES = {Change.WORSE: "bad", Change.BETTER: "good", Change.NOT_MEASURED: "bad"}
_MOST_POINTS = 400
"""Points of a curve; more are not seen."""

Compared = tuple[RunComparison, Sequence[ExpectationVerdict]]


def write_comparison(path: Path, compared: Sequence[Compared], *, wall: datetime) -> None:
    """Write the page atomically.  Raises ConfigurationError."""
    write_private(path, comparison_page(compared, wall=wall).encode(), mode=0o644)


def comparison_page(compared: Sequence[Compared], *, wall: datetime) -> str:
    """The page as HTML text; every comparison is with the same first run."""
    first = compared[0][0].before
    runs = [first, *(comparison.after for comparison, _ in compared)]
    title = f"compared with {first.name}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="note">softphone {__version__}, {wall:%Y-%m-%d %H:%M:%S %Z}; '
        f"{_meaning(runs)}</p>",
        *(_state(run) for run in runs),
    ]
    for comparison, verdicts in compared:
        parts += [_changes(comparison), verdict_table(verdicts)]
    parts += [
        "<h2>Set-up latency</h2>" + _curves(runs, "setup_ms", "ms"),
        "<h2>MOS</h2>" + _curves(runs, "mos", "MOS, narrowband (ITU-T G.107)"),
        "<h2>Jitter</h2>" + _curves(runs, "jitter_ms", "ms"),
    ]
    return html_page(title, parts)


def _meaning(runs: Sequence[RunRecord]) -> str:
    """What the intervals hold."""
    if any(len(run.runs) > 1 for run in runs):
        return "each value is the mean of the runs of its side, intervals hold how much runs differ"
    return "intervals hold the noise within the runs, not that between two runs of the same thing"


def _state(run: RunRecord) -> str:
    if not run.invalid_because and not run.interrupted:
        return ""
    reasons = [*run.invalid_because, *(["it was interrupted"] if run.interrupted else [])]
    items = "".join(f"<li>{escape(reason)}</li>" for reason in reasons)
    return f'<div class="box bad"><b>{escape(run.name)} proves nothing:</b><ul>{items}</ul></div>'


def _changes(comparison: RunComparison) -> str:
    rows = "".join(
        f'<tr><td>{escape(each.figure.label)}</td><td class="n">{value_text(each, each.before)}'
        f'</td><td class="n">{value_text(each, each.after)}</td>'
        f'<td class="n">{difference_text(each)}</td><td>{interval_text(each)}</td>'
        f'<td class="{_CLASSES.get(each.judged, "note")}">{each.judged}</td></tr>'
        for each in comparison.changes
    )
    differences = comparison.differences
    note = (
        f'<p class="bad">Asked for differently: {escape("; ".join(differences))}</p>'
        if differences
        else ""
    )
    head = (
        "<tr><th>figure</th><th>before</th><th>after</th><th>change</th>"
        "<th>interval of the change</th><th></th></tr>"
    )
    return f"<h2>{escape(comparison.after.name)}</h2>{note}{wide_table(head + rows)}"


def _curves(runs: Sequence[RunRecord], name: str, label: str) -> str:
    """The share of calls at or below each value, a curve a run."""
    series = [PlotSeries(run.name, _points(getattr(run.tally, name))) for run in runs]
    return line_plot(series, label="% of calls, at or below", across=label, ceiling=100.0)


def _points(histogram: Histogram) -> list[tuple[float, float | None]]:
    steps = histogram.steps()
    every = max(1, len(steps) // _MOST_POINTS)
    kept = steps[:-1:every] + steps[-1:]
    return [(value, 100.0 * seen / histogram.total) for value, seen in kept]
