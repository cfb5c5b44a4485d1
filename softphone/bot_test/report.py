"""The report of a bot test: test cases for CI, and one self-contained HTML file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from html import escape
from pathlib import Path

from softphone.bot_test.bot_tally import tally_figures
from softphone.bot_test.runner import BotTestResult
from softphone.bot_test.simulated_caller import CallReport
from softphone.load.plan import ExpectationVerdict
from softphone.load.report import CaseOutcome, VerdictCase, verdict_cases
from softphone.load.report.html import (
    figure_table,
    html_page,
    made_text,
    state_box,
    verdict_table,
    wide_table,
)
from softphone.load.report.svg_plot import PlotSeries, line_plot
from softphone.trust.disk import write_private

SCRIPT = "script"
"""The group of cases of scripts."""
MOST_ROWS = 500
"""The most calls that the page lists, those with a problem first."""


def bot_test_cases(
    result: BotTestResult, verdicts: Sequence[ExpectationVerdict]
) -> list[VerdictCase]:
    """The cases of a run: the checks of a load run, the scripts, and the expectations."""
    cases = [_script_case(result, script.name) for script in result.plan.scripts]
    return [*verdict_cases(result.load, verdicts), *cases]


def _script_case(result: BotTestResult, name: str) -> VerdictCase:
    """A script has passed if every call ran it to its end; without a call it was not tried."""
    reports = [report for report in result.reports if report.script.name == name]
    if not reports:
        return VerdictCase(SCRIPT, name, CaseOutcome.SKIPPED, "no call was made of it")
    problems = Counter(report.problem_text for report in reports if report.problem)
    lines = [f"{count:,} times: {text}" for text, count in problems.most_common()]
    failed = any(not report.completed for report in reports)
    if failed and not (result.load.valid and not result.load.interrupted):
        return VerdictCase(SCRIPT, name, CaseOutcome.SKIPPED, "\n".join(lines))
    return VerdictCase(
        SCRIPT, name, CaseOutcome.FAILED if failed else CaseOutcome.PASSED, "\n".join(lines)
    )


def write_bot_test(
    path: Path, result: BotTestResult, verdicts: Sequence[ExpectationVerdict], *, wall: datetime
) -> None:
    """Write the page atomically.  Raises ConfigurationError."""
    write_private(path, bot_test_page(result, verdicts, wall=wall).encode(), mode=0o644)


def bot_test_page(
    result: BotTestResult, verdicts: Sequence[ExpectationVerdict], *, wall: datetime
) -> str:
    """The page as HTML text; `wall` is the time at which the run began."""
    plan = result.plan
    title = f"bot test: {plan.target}"
    asked = (
        f"{made_text(wall)}; {plan.calls:,} calls, {plan.at_once:,} at once at most, scripts "
        f"{', '.join(script.name for script in plan.scripts)}, as {plan.config.aor}, "
        f"seed {plan.seed}"
    )
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="note">{escape(asked)}</p>',
        state_box(result.load, verdicts),
        verdict_table(verdicts),
        figure_table(tally_figures(result.tally)),
        _problems(result),
        "<h2>Response and first sound by call</h2>",
        line_plot(_series(result), label="ms", across="call"),
        _call_table(result.reports),
    ]
    return html_page(title, parts)


def _problems(result: BotTestResult) -> str:
    rows = "".join(
        f'<tr><td>{escape(script)}</td><td>{escape(text)}</td><td class="n">{count:,}</td></tr>'
        for (script, text), count in result.tally.problems.most_common(MOST_ROWS)
    )
    head = "<tr><th>script</th><th>problem</th><th>calls</th></tr>"
    return f"<h2>Problems</h2>{wide_table(head + rows)}" if rows else ""


def _series(result: BotTestResult) -> list[PlotSeries]:
    """Each call's slowest response, and its first sound."""
    responses: list[tuple[float, float | None]] = []
    first: list[tuple[float, float | None]] = []
    for report in sorted(result.reports, key=lambda each: each.number):
        measures = report.measures
        if measures is None:
            continue
        found = [each for each in measures.responses if each is not None]
        responses.append((report.number + 1, 1e3 * max(found) if found else None))
        sound = measures.first_sound
        first.append((report.number + 1, None if sound is None else 1e3 * sound))
    return [PlotSeries("response", responses, True), PlotSeries("first sound", first, True)]


def _call_table(reports: Sequence[CallReport]) -> str:
    listed = sorted(reports, key=lambda each: (each.completed, each.number))[:MOST_ROWS]
    more = len(reports) - len(listed)
    names = ("call", "script", "first sound", "responses", "barge-in", "talk-over", "dead air")
    head = "".join(f"<th>{name}</th>" for name in (*names, "end"))
    rows = "".join(map(_call_row, listed))
    note = f'<p class="note">and {more:,} more calls</p>' if more else ""
    return (
        '<h2>Calls</h2><p class="note">Times in ms.</p><div class="wide"><table>'
        f"<tr>{head}</tr>{rows}</table></div>{note}"
    )


def _call_row(report: CallReport) -> str:
    measures = report.measures
    times = ["-"] * 5
    if measures is not None:
        times = [
            _shown([measures.first_sound]),
            _shown(measures.responses),
            _shown(measures.barge_ins),
            _shown([measures.talk_over]),
            _shown([measures.dead_air]),
        ]
    cells = "".join(f'<td class="n">{each}</td>' for each in times)
    problem = f'<br><span class="bad">{escape(report.problem_text)}</span>'
    end = escape(report.end_cause or "-") + (problem if report.problem else "")
    return (
        f'<tr><td class="n">{report.number + 1}</td><td>{escape(report.script.name)}</td>'
        f"{cells}<td>{end}</td></tr>"
    )


def _shown(seconds: Sequence[float | None]) -> str:
    return ", ".join("none" if each is None else f"{1e3 * each:.0f}" for each in seconds) or "-"
