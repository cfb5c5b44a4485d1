"""`softphone load run` and `find-capacity`: run, show, judge, report."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import Any, TypeAlias

from softphone.cli.console.output import CommandOutput
from softphone.cli.console.runner import DONE, FAILED, INTERRUPTED
from softphone.cli.load.options import CapacityOptions, LoadOptions
from softphone.cli.load.plan import expectations_of, plan_of
from softphone.cli.load.screen import LoadScreen, ProgressLines
from softphone.errors import ConfigurationError, SoftphoneError
from softphone.load import (
    NO_RESULT,
    LoadResult,
    failure_causes,
    judge_result,
    result_figures,
    second_fields,
)
from softphone.load.capacity import CapacitySearch, CapacityTrial
from softphone.load.distribute import RunObserver, find_capacity, run_plan
from softphone.load.measure import NO_MEDIA, TOLERATE_LATE, RunSecond
from softphone.load.plan import ExpectationVerdict, LoadPlan
from softphone.load.report import PrometheusPage, write_report

INVALID = 4
"""The exit code of a run whose figures are the generator's own and say nothing of the target."""

Command: TypeAlias = Callable[[CommandOutput, Any], Awaitable[int]]


def tells_failure(command: Command) -> Command:
    """Has a command say in the fields of its summary why there is no result."""

    @wraps(command)
    async def reporting(output: CommandOutput, options: LoadOptions) -> int:
        try:
            return await command(output, options)
        except SoftphoneError as error:
            output.fill_blank(invalid_because=[f"{NO_RESULT}: {error}"])
            raise
        except asyncio.CancelledError:
            output.fill_blank(interrupted=True)
            raise

    return reporting


@tells_failure
async def run_load(output: CommandOutput, options: LoadOptions) -> int:
    """One run; 0 when it is valid and every verdict is met, 4 when it is invalid, else 1."""
    expectations = expectations_of(options)
    plan = plan_of(options)
    _check(options)
    async with _watched(output, options, plan) as watcher:
        result = await run_plan(plan, options.workers, watcher, ray=options.ray)
    verdicts = judge_result(result, expectations)
    written = _report(output, options, result, verdicts, None)
    _print_result(output, result, verdicts)
    return _code(result, verdicts) or (DONE if written else FAILED)


@tells_failure
async def run_capacity_search(output: CommandOutput, options: CapacityOptions) -> int:
    """A search; 0 when the capacity was found and confirmed, 4 when a number of calls could not be
    judged, else 1."""
    expectations = expectations_of(options)
    if not expectations:
        raise ConfigurationError("--expect: say what a target must reach to hold its calls")
    if options.most < options.calls or options.confirm < 1 or not 0 < options.precision < 1:
        raise ConfigurationError("--most, --confirm and --precision: at least --calls, 1, 0 to 1")
    plan = plan_of(options)
    _check(options)
    search = CapacitySearch(options.calls, options.most, options.precision, options.confirm)

    def trial(finished: CapacityTrial) -> None:
        word = "held" if finished.held else "not held" if finished.valid else "invalid"
        output.event(
            "trial",
            f"{finished.calls} calls: {word}{': ' if finished.why else ''}{finished.why}",
            calls=finished.calls,
            held=finished.held,
            valid=finished.valid,
            why=finished.why,
        )

    async with _watched(output, options, plan) as watcher:
        result = await find_capacity(
            plan,
            search,
            expectations,
            workers=options.workers,
            ray=options.ray,
            watcher=watcher,
            on_trial=trial,
        )
    verdicts = judge_result(result, expectations)
    written = _report(output, options, result, verdicts, search)
    output.summary(
        search.outcome_text(),
        **result.summary(verdicts),
        capacity=search.summary(),
    )
    if search.interrupted:
        return INTERRUPTED
    if search.unjudged_trial is not None:
        return INVALID
    return DONE if written and search.confirmed else FAILED


def _check(options: LoadOptions) -> None:
    """What would be found out only at the end is found out now.  Raises ConfigurationError."""
    if options.workers < 1:
        raise ConfigurationError(f"--workers {options.workers}: expected 1 or more")
    report = options.report
    if report is not None and not report.absolute().parent.is_dir():
        raise ConfigurationError(f"--report {report}: there is no such folder")
    if report is not None and report.is_dir():
        raise ConfigurationError(f"--report {report}: that is a folder; name a file in it")


@dataclass(slots=True)
class _RunListeners:
    second: list[Callable[[RunSecond], None]]
    progress: list[Callable[[int, int], None]]


@asynccontextmanager
async def _watched(
    output: CommandOutput, options: LoadOptions, plan: LoadPlan
) -> AsyncIterator[RunObserver]:
    """Whoever looks on: the screen or the script, and Prometheus."""
    listeners = _RunListeners([], [])
    async with AsyncExitStack() as stack:
        if options.prometheus is not None:
            served = await stack.enter_async_context(PrometheusPage(options.prometheus))
            place = f"http://127.0.0.1:{served.port}/metrics"
            output.event("prometheus", f"figures for Prometheus at {place}", url=place)
            listeners.second.append(served.add_second)
        if output.json:
            listeners.second.append(lambda s: output.event("second", **second_fields(s)))
        screen = LoadScreen(plan, options.workers)
        update = stack.enter_context(output.screen(screen.view(output.stdout_console.width)))

        def second(latest: RunSecond) -> None:
            screen.add_second(latest)
            update(screen.view(output.stdout_console.width))

        def progress(done: int, whole: int) -> None:
            screen.progress(done, whole)
            update(screen.view(output.stdout_console.width))

        listeners.second.append(second)
        listeners.progress.append(progress)
        if not output.draws:
            lines = ProgressLines(plan)
            listeners.second.append(lambda latest: output.progress(lines.running(latest)))
            listeners.progress.append(lambda *n: output.progress(lines.registered(*n)))
        yield RunObserver(
            second=lambda latest: _call_listeners(listeners.second, latest),
            progress=lambda *counts: _call_listeners(listeners.progress, *counts),
        )


def _call_listeners(listeners: Sequence[Callable[..., None]], *values: object) -> None:
    for listener in listeners:
        listener(*values)


def _report(
    output: CommandOutput,
    options: LoadOptions,
    result: LoadResult,
    verdicts: Sequence[ExpectationVerdict],
    search: CapacitySearch | None,
) -> bool:
    """Write the report, if one is asked for; False: it could not be, and the figures are told all
    the same."""
    if options.report is None:
        return True
    wall = datetime.now().astimezone()
    try:
        write_report(options.report, result, verdicts, search=search, wall=wall)
    except ConfigurationError as error:
        output.error(str(error), FAILED)
        return False
    output.event("report", f"the report is {options.report}", path=str(options.report))
    return True


def _print_result(
    output: CommandOutput, result: LoadResult, verdicts: Sequence[ExpectationVerdict]
) -> None:
    output.table("", ("figure", "value"), result_figures(result))
    failed = sorted(failure_causes(result.total).items(), key=lambda item: -item[1])
    if failed:
        output.table("", ("failed", "times"), [(cause, f"{count:,}") for cause, count in failed])
    if verdicts:
        met = {True: "met", False: "NOT MET"}
        rows = [(each.expected, met[each.met], each.measured) for each in verdicts]
        output.table("", ("expected", "", "measured"), rows)
    output.summary(_sentence(result, verdicts), **result.summary(verdicts))


def _sentence(result: LoadResult, verdicts: Sequence[ExpectationVerdict]) -> str:
    lines = [f"INVALID: {reason}" for reason in result.invalid_because]
    lines += [f"not met: {v.expected} (measured: {v.measured})" for v in verdicts if not v.met]
    if result.interrupted:
        lines.append("interrupted: the figures are of what there was")
    tolerated = result.plan.tolerate_late
    if not lines and tolerated != TOLERATE_LATE:
        lines.append(f"--tolerate-late: up to {tolerated:g} % of our packets were borne late")
    if all(line.startswith("--tolerate") for line in lines):
        lines.append(
            f"valid, every verdict met: {_came_about(result)}"
            if verdicts
            else f"valid, and no verdict was asked for (--expect): {_came_about(result)}"
        )
    return "\n".join(lines)


def _came_about(result: LoadResult) -> str:
    """Whether anything did: a valid run may be one in which no call was answered."""
    total = result.total
    if total.attempted:
        silent = total.failed[NO_MEDIA]
        return f"{total.answered:,} of {total.attempted:,} calls were answered" + (
            f", {silent:,} of them without a packet of media" if silent else ""
        )
    return f"{total.registered:,} of {len(result.plan.users):,} users registered"


def _code(result: LoadResult, verdicts: Sequence[ExpectationVerdict]) -> int:
    if result.interrupted:
        return INTERRUPTED
    if not result.valid:
        return INVALID
    return DONE if all(verdict.met for verdict in verdicts) else FAILED
