"""The report of a run: one self-contained HTML file, to be mailed or kept with a build.

No script, no external resources; text that came from a peer is escaped.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from datetime import datetime
from html import escape
from pathlib import Path

from softphone._version import __version__
from softphone.load.capacity import CapacitySearch, CapacityTrial
from softphone.load.measure.histogram import Histogram
from softphone.load.measure.tally import RunSecond
from softphone.load.plan import ExpectationVerdict, LoadPlan
from softphone.load.report.svg_plot import PlotSeries, bar_plot, heat_map, line_plot
from softphone.load.result import LoadResult, failure_causes, result_figures, server_fields
from softphone.security import SrtpPolicy
from softphone.trust.disk import write_private

STYLE = """
:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:860px;padding:0 1rem;
color:#1f2328;background:#fff}
h1{font-size:1.5rem;margin:0 0 .2rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .6rem;
border-bottom:1px solid #d1d9e0;vertical-align:top}td.n{text-align:right;
font-variant-numeric:tabular-nums}.good{color:#1a7f37}.bad{color:#d1242f}
.box{border:1px solid;border-radius:6px;padding:.6rem .9rem;margin:1rem 0}
.note,.nothing{color:#59636e}svg{width:100%;height:auto;display:block}
svg text{font:11px system-ui,sans-serif;fill:#59636e}
.grid{stroke:#e6eaef;fill:none}.axis{stroke:#8c959f;fill:none}.line{fill:none;stroke-width:1.8}
.wide{overflow-x:auto}
@media (prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}
td,th{border-color:#30363d}.good{color:#3fb950}.bad{color:#f85149}.note,.nothing{color:#9198a1}
svg text{fill:#9198a1}.grid{stroke:#21262d}.axis{stroke:#656d76}}
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
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>\n"
        + "\n".join(part for part in parts if part)
        + "\n</body></html>\n"
    )


def made_text(wall: datetime) -> str:
    """Which version on which machine, and when the run began."""
    machine = (
        f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}"
    )
    return f"softphone {__version__} on {machine}, begun at {wall:%Y-%m-%d %H:%M:%S %Z}"


def _when(plan: LoadPlan, wall: datetime) -> str:
    faults = plan.faults.words()
    calls = f"{plan.calls} calls"
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
        f"{'at the capacity' if search.capacity else 'of the search'}; the curves have the worst "
        "trial of each number, and none that was invalid.</p>"
        + _share_held(search)
        + line_plot([answered], label="answered, %", across="calls", ceiling=100.0)
        + line_plot([mos], label="MOS, 5th percentile", across="calls", floor=1.0, ceiling=4.5)
        + line_plot([setup], label="set-up, 99th percentile, ms", across="calls")
        + f"<table><tr><th>calls</th><th></th><th>why not</th></tr>{rows}</table>"
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
    return f"<h2>Verdicts</h2><table>{head}{rows}</table>"


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
    return f"<h2>Figures</h2><table>{cells}</table>"


def _plots(result: LoadResult) -> list[str]:
    seconds = result.seconds
    at = [second.at for second in seconds]

    def over(name: str, values: Sequence[float | None]) -> PlotSeries:
        return PlotSeries(name, list(zip(at, values, strict=True)))

    def ranks(of: Sequence[Histogram], share: float) -> list[float | None]:
        return [histogram.quantile(share) for histogram in of]

    end = at[-1] if at else None

    def drawn(
        what: Sequence[PlotSeries], label: str, floor: float = 0.0, ceiling: float | None = None
    ) -> str:
        return line_plot(what, label=label, floor=floor, ceiling=ceiling, end=end)

    setup = [second.tally.setup_ms for second in seconds]
    mos = [second.mos_now for second in seconds]
    jitter = [second.jitter_now_ms for second in seconds]
    late = [second.tally.lateness_ms for second in seconds]
    return [
        "<h2>Calls up</h2>" + drawn([over("calls", [s.up for s in seconds])], "calls"),
        "<h2>Set-up latency</h2>"
        + drawn([over("p50", ranks(setup, 0.5)), over("p99", ranks(setup, 0.99))], "ms")
        + heat_map(list(zip(at, setup, strict=True)), label="ms; darker: more calls", end=end),
        "<h2>MOS</h2>"
        + drawn(
            [over("p50", ranks(mos, 0.5)), over("p5", ranks(mos, 0.05))],
            "MOS (ITU-T G.107)",
            floor=1.0,
            ceiling=4.5,
        ),
        "<h2>Loss</h2>" + drawn([over("lost", [_loss(s) for s in seconds])], "%"),
        "<h2>Jitter</h2>"
        + drawn([over("p50", ranks(jitter, 0.5)), over("p95", ranks(jitter, 0.95))], "ms"),
        "<h2>Failures by cause</h2>"
        + bar_plot(failure_causes(result.total), label="calls and registrations that failed"),
        "<h2>The generator itself</h2>"
        + drawn([over("processor", [100.0 * s.cpu for s in seconds])], "% of a core")
        + drawn([over("p99", ranks(late, 0.99))], "packets left so late, ms"),
    ]


def _loss(second: RunSecond) -> float | None:
    expected = second.tally.received + second.tally.lost
    return max(0.0, second.tally.loss_percent) if expected > 0 else None
