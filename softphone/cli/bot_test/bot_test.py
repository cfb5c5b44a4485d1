"""`softphone bot-test`: reads the scripts, runs the callers, shows, judges, reports."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.text import Text

from softphone.bot_test import (
    BotTestPlan,
    BotTestResult,
    BotTestRunner,
    CallReport,
    parse_bot_expectation,
    read_script,
    split_command,
    tally_fields,
    tally_figures,
    with_completed,
)
from softphone.bot_test.report import bot_test_cases, write_bot_test
from softphone.cli.bot_test.options import BotTestOptions
from softphone.cli.console.option_names import name_options
from softphone.cli.console.output import CommandOutput, printable
from softphone.cli.console.runner import DONE, FAILED
from softphone.cli.load.artifacts import (
    annotate,
    attempt_write,
    check_annotations,
    check_file,
    seconds_since,
    with_option_names,
    write_junit,
)
from softphone.cli.load.options import INVALID
from softphone.cli.load.plan import parse_ports
from softphone.config import load_account
from softphone.errors import ConfigurationError, SoftphoneError
from softphone.load import NO_RESULT, failure_causes, verdict_fields
from softphone.load.plan import ExpectationVerdict
from softphone.load.report import (
    VerdictCase,
    junit_document,
    no_result_cases,
    run_properties,
    write_no_result,
)

COMMAND = "softphone bot-test"
LINE_EVERY = 10
"""Calls between two lines of progress."""


async def run_bot_test(output: CommandOutput, options: BotTestOptions) -> int:
    """Run the test; return 0 if it is valid and every verdict is met, 4 if invalid, else 1."""
    begun = datetime.now().astimezone()
    output.judges_lateness = True
    expectations = with_completed([parse_bot_expectation(text) for text in options.expect or ()])
    check_file("--report", options.report)
    check_file("--junit", options.junit)
    check_annotations(options.annotations)
    plan = _plan(options)
    try:
        result = await _run(output, plan)
    except (SoftphoneError, asyncio.CancelledError) as error:
        why = f"{NO_RESULT}: {error if isinstance(error, SoftphoneError) else 'interrupted'}"
        verdicts = [
            ExpectationVerdict(each.text, False, f"nothing, since {why}") for each in expectations
        ]
        output.fill_blank(invalid_because=[why], verdicts=verdict_fields(verdicts))
        _write_no_result(output, options, why, verdicts, begun)
        raise
    verdicts = [each.judge(result.tally, result.load.total) for each in expectations]
    written = _write_files(output, options, result, verdicts, begun)
    code = _code(result, verdicts)
    _print_result(output, result, verdicts, code)
    return code or (DONE if written else FAILED)


def _plan(options: BotTestOptions) -> BotTestPlan:
    """Return the plan of the options.  Raises ConfigurationError."""
    commands: dict[str, tuple[str, ...]] = {}
    if options.tts_command is not None:
        commands["text_to_speech"] = split_command(options.tts_command, "--tts-command")
    if options.transcriber is not None:
        commands["transcriber"] = split_command(options.transcriber, "--transcriber")
    if not 0 < options.rate < 1e6:
        raise ConfigurationError(f"--rate {options.rate:g}: expected calls a second, more than 0")
    return BotTestPlan(
        account=options.account,
        config=load_account(options.account).config,
        target=options.target,
        scripts=tuple(map(read_script, options.scripts)),
        calls=options.calls,
        at_once=options.at_once,
        rate=options.rate,
        seed=options.seed,
        answer_timeout=options.answer_timeout,
        tolerate_late=options.tolerate_late,
        ports=parse_ports(options.ports),
        host=options.host,
        **commands,
    )


async def _run(output: CommandOutput, plan: BotTestPlan) -> BotTestResult:
    def show(report: CallReport) -> None:
        output.event("call", **_call_fields(report))
        progress.add_call(report)
        update(progress.view())

    progress = _Progress(output, plan.calls)
    with output.waiting("making sounds and registering"):
        runner = await BotTestRunner(plan, on_call=show).__aenter__()
    try:
        with output.screen(progress.view()) as update:
            return await runner.run()
    finally:
        await runner.__aexit__(None, None, None)


def _call_fields(report: CallReport) -> dict[str, Any]:
    measures = report.measures
    times: dict[str, Any] = {
        "first_sound_ms": None,
        "response_ms": [],
        "barge_in_ms": [],
        "talk_over_ms": None,
        "dead_air_ms": None,
    }
    if measures is not None:
        times = {
            "first_sound_ms": _milliseconds(measures.first_sound),
            "response_ms": [_milliseconds(each) for each in measures.responses],
            "barge_in_ms": [_milliseconds(each) for each in measures.barge_ins],
            "talk_over_ms": _milliseconds(measures.talk_over),
            "dead_air_ms": _milliseconds(measures.dead_air),
        }
    return {
        "number": report.number + 1,
        "script": report.script.name,
        "call_id": report.call_id,
        "answered": report.answered,
        "completed": report.completed,
        "problem": report.problem_text,
        **times,
        "transcripts": [
            {"expected": expected, "understood": understood}
            for expected, understood in report.transcripts
        ],
        "end": report.end_cause,
        "seconds": round(report.seconds, 3),
    }


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(1e3 * seconds)


class _Progress:
    """The progress of a run: a bar on a terminal, else a line now and then."""

    def __init__(self, output: CommandOutput, total: int) -> None:
        self._output = output
        self._total = total
        self._done = self._failed = 0
        self._line = "calling"

    def add_call(self, report: CallReport) -> None:
        """Note a call; print a line where it has a problem, or where one is due."""
        self._done += 1
        said = report.problem_text or "ran to its end"
        self._failed += bool(report.problem)
        self._line = f"{self._done} of {self._total}: {report.script.name}: {said}"
        if report.problem or (not self._output.draws and self._done % LINE_EVERY == 0):
            self._output.progress(self._line)

    def view(self) -> Group:
        """Return the latest call, and the bar below it."""
        bar = ProgressBar(total=self._total, completed=self._done)
        failed = f"   {self._failed} with a problem" if self._failed else ""
        # The bar ends without a line break: what followed it would not be seen.
        return Group(Text(printable(self._line + failed)), bar)


def _print_result(
    output: CommandOutput,
    result: BotTestResult,
    verdicts: Sequence[ExpectationVerdict],
    code: int,
) -> None:
    output.table("", ("figure", "value"), tally_figures(result.tally))
    problems = result.tally.problems.most_common()
    if problems:
        rows = [(script, text, f"{count:,}") for (script, text), count in problems]
        output.table("", ("script", "problem", "calls"), rows)
    rows = [
        (each.expected, each.word.upper() if each.broken else each.word, each.measured)
        for each in verdicts
    ]
    output.table("", ("expected", "", "measured"), rows)
    sentence = _sentence(result, verdicts)
    fields = _summary(result, verdicts)
    if code == DONE:
        output.done(sentence, **fields)
        return
    output.explain_failure(sentence)
    output.summary(sentence, result="failed", status=0, reason=sentence, **fields)


def _sentence(result: BotTestResult, verdicts: Sequence[ExpectationVerdict]) -> str:
    load, tally = result.load, result.tally
    lines = [f"INVALID: {reason}" for reason in load.invalid_because]
    lines += [
        f"not met: {verdict.expected} (measured: {verdict.measured})"
        for verdict in verdicts
        if verdict.broken
    ]
    if not lines:
        calls = "1 call" if tally.calls == 1 else f"{tally.calls:,} calls"
        lines.append(f"valid, every verdict met: {calls} of {result.plan.target}")
    return "\n".join(lines)


def _summary(result: BotTestResult, verdicts: Sequence[ExpectationVerdict]) -> Mapping[str, Any]:
    plan = result.plan
    return {
        "valid": result.load.valid,
        "invalid_because": list(result.load.invalid_because),
        "plan": {
            "target": plan.target,
            "scripts": [script.name for script in plan.scripts],
            "calls": plan.calls,
            "at_once": plan.at_once,
            "rate": plan.rate,
            "seed": plan.seed,
        },
        "bot": tally_fields(result.tally),
        "failed": failure_causes(result.load.total),
        "suites": dict(result.load.total.suites),
        "verdicts": verdict_fields(verdicts),
    }


def _code(result: BotTestResult, verdicts: Sequence[ExpectationVerdict]) -> int:
    if not result.load.valid:
        return FAILED if any(verdict.outright for verdict in verdicts) else INVALID
    return FAILED if any(verdict.broken for verdict in verdicts) else DONE


# Files ------------------------------------------------------------------------------------------


def _write_files(
    output: CommandOutput,
    options: BotTestOptions,
    result: BotTestResult,
    verdicts: Sequence[ExpectationVerdict],
    begun: datetime,
) -> bool:
    """Write the files that were asked for; return False if one cannot be written."""
    report, written = options.report, True
    if report is not None:

        def write_page() -> None:
            write_bot_test(report, result, verdicts, wall=begun)
            output.event("report", f"the report is {report}", path=str(report))

        written = attempt_write(output, write_page)
    figures = tally_figures(result.tally)
    cases = [with_option_names(case) for case in bot_test_cases(result, verdicts)]
    lines = "\n".join(f"{name}: {value}" for name, value in figures)
    properties = run_properties(result.load)
    return _write_cases(output, options, cases, begun, figures, lines, properties) and written


def _write_no_result(
    output: CommandOutput,
    options: BotTestOptions,
    error: str,
    verdicts: Sequence[ExpectationVerdict],
    begun: datetime,
) -> None:
    report = options.report
    if report is not None:
        title = f"bot test: {options.target}"

        def write_page() -> None:
            write_no_result(report, title, name_options(error), verdicts, wall=begun)
            output.event("report", f"the report is {report}", path=str(report))

        attempt_write(output, write_page)
    cases = [with_option_names(case) for case in no_result_cases(error, verdicts)]
    _write_cases(output, options, cases, begun, [], "", {"target": options.target})


def _write_cases(
    output: CommandOutput,
    options: BotTestOptions,
    cases: Sequence[VerdictCase],
    begun: datetime,
    figures: Sequence[tuple[str, str]],
    lines: str,
    properties: Mapping[str, str],
) -> bool:
    """Write the cases for CI; return False if a file cannot be written."""
    junit, written = options.junit, True
    if junit is not None:
        document = junit_document(
            cases,
            scenario=options.target,
            wall=begun,
            seconds=seconds_since(begun),
            properties=properties,
            output=lines,
            command=COMMAND,
        )
        written = attempt_write(output, lambda: write_junit(output, junit, document))
    kind = options.annotations
    return annotate(output, kind, options.target, cases, figures, command=COMMAND) and written
