"""The report of a run: one self-contained HTML file, to be mailed or kept with a build.

No script, no external resources; text that came from a peer is escaped.
"""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from html import escape
from importlib.resources import files
from pathlib import Path

from softphone._version import __version__
from softphone.load.capacity import CapacitySearch, CapacityTrial
from softphone.load.charts import CHARTS, chart_lines, operation_charts, run_point
from softphone.load.plan import ExpectationVerdict, LoadPlan
from softphone.load.report.svg_plot import PlotSeries, bar_plot, heat_map, line_plot
from softphone.load.result import LoadResult, failure_causes, result_figures, server_fields
from softphone.security import SrtpPolicy
from softphone.trust.disk import write_private

HEATED = "set-up latency"
"""The chart below which its heat map stands."""
STYLE = """
:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:860px;padding:0 1rem;
color:#1f2328;background:#fff}
h1{font-size:1.5rem;margin:0 0 .2rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}
h1,h2,p,.box{overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .6rem;
border-bottom:1px solid #d1d9e0;vertical-align:top}td.n{text-align:right;
font-variant-numeric:tabular-nums}.good{color:#1a7f37}.bad{color:#d1242f}
.box{border:1px solid;border-radius:6px;padding:.6rem .9rem;margin:1rem 0}
.note,.nothing{color:#59636e}svg{width:100%;min-width:36rem;height:auto;display:block}
.wide{overflow-x:auto}
@media (prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}
td,th{border-color:#30363d}.good{color:#3fb950}.bad{color:#f85149}.note,.nothing{color:#9198a1}}
"""


def write_report(
    path: Path,
    result: LoadResult,
    verdicts: Sequence[ExpectationVerdict],
    *,
    search: CapacitySearch | None = None,
    wall: datetime,
) -> None:
    """Write the page atomically, by a temporary file.  Raises ConfigurationError."""
    text = report_page(result, verdicts, search=search, wall=wall)
    write_private(path, text.encode(), mode=0o644)


def write_no_result(
    path: Path, title: str, error: str, verdicts: Sequence[ExpectationVerdict], *, wall: datetime
) -> None:
    """Write the page of a run that came to no result, for `error`.  Raises ConfigurationError."""
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="note">{escape(made_text(wall))}</p>',
        f'<div class="box bad"><b>No result:</b> {escape(error)}</div>',
        verdict_table(verdicts),
    ]
    write_private(path, html_page(title, parts).encode(), mode=0o644)


def report_page(
    result: LoadResult,
    verdicts: Sequence[ExpectationVerdict],
    *,
    search: CapacitySearch | None = None,
    wall: datetime,
) -> str:
    """The page as HTML text; `wall` is the time at which the run began."""
    plan = result.plan
    title = f"{plan.scenario}: {plan.target or 'users call each other'}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="note">{escape(_when(plan, wall))}</p>',
        state_box(result, verdicts, search),
        _capacity(search),
        verdict_table(verdicts),
        figure_table(result_figures(result)),
        *_plots(result),
    ]
    return html_page(title, parts)


def html_page(title: str, parts: Sequence[str]) -> str:
    """A self-contained page of the parts that are not empty."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{page_style()}</style></head><body>\n"
        + "\n".join(part for part in parts if part)
        + "\n</body></html>\n"
    )


@cache
def page_style() -> str:
    """The style sheet of a page, with that of the charts."""
    charts = files("softphone.load.live").joinpath("static", "chart.css")
    return STYLE + charts.read_text("utf-8")


def made_text(wall: datetime) -> str:
    """Which version on which machine, and when the run began."""
    machine = (
        f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}"
    )
    return f"softphone {__version__} on {machine}, begun at {wall:%Y-%m-%d %H:%M:%S %Z}"


def _when(plan: LoadPlan, wall: datetime) -> str:
    faults = plan.faults.words()
    calls = f"{plan.calls} {'calls' if plan.workload is None else 'at once'}"
    if plan.sipp is not None and plan.sipp.total:
        calls = f"{plan.sipp.total} calls, {plan.calls} at once at most"
    return (
        f"{made_text(wall)}; {_asked(plan)}"
        f"{calls}, arrival {plan.arrival} at {plan.rate:g}/s, {plan.duration:g} s, "
        f"hold {plan.hold or 'of the scenario'}, seed {plan.seed}, {len(plan.users)} users, "
        f"{plan.sockets} sockets, media {plan.placement}"
        + (f"; faults on purpose: {faults}" if faults else "")
    )


def _asked(plan: LoadPlan) -> str:
    """Which server is called, how, as which user and with which suites."""
    fields = server_fields(plan)
    if fields["server"] is None:
        return ""
    transport = "" if fields["transport"] is None else f" over {fields['transport'].upper()}"
    suites = "" if fields["suites"] is None else f", SRTP {fields['srtp']}"
    if fields["srtp"] not in (None, SrtpPolicy.OFF):
        suites += f" ({', '.join(fields['suites'])})"
    return f"server {fields['server']}{transport}, as {fields['aor']}{suites}; "


def state_box(
    result: LoadResult,
    verdicts: Sequence[ExpectationVerdict],
    search: CapacitySearch | None = None,
) -> str:
    """A box that says whether the run is valid, and whether its verdicts are met."""
    if search is not None and search.capacity and search.unjudged_trial is not None:
        return (
            '<div class="box bad"><b>A lower bound:</b> more calls could not be judged: '
            f"{escape(search.unjudged_trial.why)}</div>"
        )
    if not result.valid:
        reasons = "".join(f"<li>{escape(reason)}</li>" for reason in result.invalid_because)
        return (
            '<div class="box bad"><b>Invalid: these figures say nothing about the target.</b>'
            f"<ul>{reasons}</ul></div>"
        ) + _outright(verdicts)
    unmet = sum(verdict.broken for verdict in verdicts)
    if unmet:
        return f'<div class="box bad"><b>Failed:</b> {unmet} of {len(verdicts)} verdicts</div>'
    said = "every verdict is met" if verdicts else "no verdict was asked for"
    if unjudged := sum(not verdict.judged for verdict in verdicts):
        said = f"{unjudged} of {len(verdicts)} verdicts not judged (too few), the others met"
    return f'<div class="box good"><b>Valid</b>, {said}</div>'


def _outright(verdicts: Sequence[ExpectationVerdict]) -> str:
    """A box with what failed although the run is invalid; "" for nothing."""
    texts = [f"{each.expected} (measured: {each.measured})" for each in verdicts if each.outright]
    if not texts:
        return ""
    rows = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return (
        '<div class="box bad"><b>Failed all the same, however busy the generator was:</b>'
        f"<ul>{rows}</ul></div>"
    )


def _capacity(search: CapacitySearch | None) -> str:
    if search is None:
        return ""
    answered = _curve("answered %", search, lambda trial: 100 * trial.answered, min)
    mos = _curve("MOS p5", search, lambda trial: trial.mos_p5, min)
    setup = _curve("set-up p99", search, lambda trial: trial.setup_p99_ms, max)
    rows = "".join(
        f'<tr><td class="n">{trial.calls:,}</td><td>{_held(trial.held, trial.valid)}</td>'
        f"<td>{escape(trial.why)}</td></tr>"
        for trial in search.all_trials
    )
    return (
        f"<h2>Capacity</h2><p><b>{escape(search.outcome_text())}</b></p>"
        f"<p>{escape(search.interval_text())}</p>"
        '<p class="note">Verdicts and figures below are those of the last run '
        f"{'at the capacity' if search.capacity else 'of the search'}; curves of figures have "
        "the worst trial of each number, and none that was invalid.</p>"
        + _share_held(search)
        + line_plot([answered], label="answered, %", across="calls", ceiling=100.0)
        + line_plot([mos], label="MOS, 5th percentile", across="calls", floor=1.0, ceiling=4.5)
        + line_plot([setup], label="set-up, 99th percentile, ms", across="calls")
        + wide_table(f"<tr><th>calls</th><th></th><th>why not</th></tr>{rows}")
    )


def _share_held(search: CapacitySearch) -> str:
    """The share of trials that held, by number of calls, and the bounds of the capacity; or ""."""
    interval = search.interval
    if interval is None:
        return ""
    held = _curve("held", search, lambda trial: 100.0 * trial.held, _mean)
    middle = [(float(calls), 50.0) for calls in (interval.low, interval.calls, interval.high)]
    return line_plot(
        [held, PlotSeries("capacity, 95 %", middle, marks=True)],
        label="trials that held, %",
        across="calls",
        ceiling=100.0,
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _curve(
    name: str,
    search: CapacitySearch,
    value: Callable[[CapacityTrial], float | None],
    worst: Callable[[list[float]], float],
) -> PlotSeries:
    """A series over the number of calls, by `worst` of its trials; leaves out invalid trials."""
    found: dict[float, list[float]] = {}
    for trial in search.all_trials:
        measured = value(trial) if trial.valid else None
        if measured is not None:
            found.setdefault(trial.calls, []).append(measured)
    points = [(calls, worst(values)) for calls, values in sorted(found.items())]
    return PlotSeries(name, points, marks=True)


def _held(held: bool, valid: bool) -> str:
    if not valid:
        return '<span class="bad">invalid</span>'
    return '<span class="good">held</span>' if held else '<span class="bad">not held</span>'


def verdict_table(verdicts: Sequence[ExpectationVerdict]) -> str:
    """A table of the verdicts with a heading; "" without any."""
    if not verdicts:
        return ""
    rows = "".join(
        f'<tr><td>{escape(each.expected)}</td><td class="{_verdict_class(each)}">'
        f"{each.word}</td><td>{escape(each.measured)}</td></tr>"
        for each in verdicts
    )
    head = "<tr><th>expected</th><th></th><th>measured</th></tr>"
    return f"<h2>Verdicts</h2>{wide_table(head + rows)}"


def wide_table(rows: str) -> str:
    """A table that is scrolled by itself where the page is narrower."""
    return f'<div class="wide"><table>{rows}</table></div>'


def _verdict_class(verdict: ExpectationVerdict) -> str:
    if not verdict.judged:
        return "note"
    return "good" if verdict.met else "bad"


def figure_table(figures: Sequence[tuple[str, str]]) -> str:
    """A table of names and values with a heading."""
    cells = "".join(
        f'<tr><td>{escape(name)}</td><td class="n">{escape(value)}</td></tr>'
        for name, value in figures
    )
    return f"<h2>Figures</h2>{wide_table(cells)}"


def _plots(result: LoadResult) -> list[str]:
    """The charts of the live page over the whole run, the heat map, and all causes of failure."""
    operations = tuple(result.total.operations)
    charts, failed = CHARTS, "calls and registrations that failed"
    if result.plan.workload is not None:
        charts, failed = operation_charts(operations), "operations and registrations that failed"
    points = [run_point(second, operations) for second in result.seconds]
    causes = Counter(failure_causes(result.total))
    most = [cause for cause, _ in causes.most_common()]
    end = points[-1]["at"] if points else None
    drawn = []
    for chart in charts:
        lines = [PlotSeries(*line) for line in chart_lines(chart, points, most)]
        plot = line_plot(
            lines,
            label=chart.unit or chart.title,
            floor=chart.floor,
            ceiling=chart.ceiling,
            end=end,
        )
        drawn.append(f"<h2>{escape(chart.title[0].upper() + chart.title[1:])}</h2>{plot}")
        if chart.title == HEATED:
            columns = [(second.at, second.tally.setup_ms) for second in result.seconds]
            drawn.append(heat_map(columns, label="ms; darker: more calls", end=end))
    return [*drawn, f"<h2>Failures by cause</h2>{bar_plot(causes, label=failed)}"]
