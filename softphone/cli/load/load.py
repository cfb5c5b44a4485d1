"""`softphone load run` and `find-capacity`: run, show, judge, report."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import wraps
from typing import Any, TypeAlias

from softphone.cli.console.output import CommandOutput
from softphone.cli.console.runner import DONE, FAILED, INTERRUPTED
from softphone.cli.load.artifacts import (
    check_artifacts,
    write_artifacts,
    write_no_result_artifacts,
)
from softphone.cli.load.compare import Baseline, unjudged_text
from softphone.cli.load.kept_limits import known_limit
from softphone.cli.load.key_log import keyed_plan
from softphone.cli.load.options import INVALID, CalibrateOptions, CapacityOptions, LoadOptions
from softphone.cli.load.plan import expectations_of
from softphone.cli.load.screen import LatenessWarning, LoadScreen, ProgressLines
from softphone.cli.load.ui import serve_page, ui_access
from softphone.errors import ConfigurationError, SoftphoneError
from softphone.load import (
    NO_RESULT,
    LoadResult,
    failure_causes,
    judge_result,
    result_figures,
    second_fields,
    verdict_fields,
)
from softphone.load.capacity import CapacitySearch, CapacityTrial
from softphone.load.distribute import RunControl, RunObserver, find_capacity, run_plan
from softphone.load.live import LoadPage
from softphone.load.measure import NO_MEDIA, OPERATIONS, TOLERATE_LATE, RunSecond
from softphone.load.plan import Expectation, ExpectationVerdict, LoadPlan
from softphone.load.report import OtelMetrics, PrometheusPage, SeriesFile
from softphone.monitoring import PageAccess

MOST_REPEATS = 1000
Command: TypeAlias = Callable[[CommandOutput, Any], Awaitable[int]]


def tells_failure(command: Command) -> Command:
    """Decorate a command so that its summary and its files say why there is no result."""

    @wraps(command)
    async def reporting(output: CommandOutput, options: LoadOptions) -> int:
        begun = _now()

        def tell(why: str, **fields: Any) -> None:
            measured = f"nothing, since {NO_RESULT}: {why}"
            texts = [text.strip() for text in options.expect or ()]
            verdicts = [ExpectationVerdict(text, False, measured) for text in texts]
            output.fill_blank(**fields, verdicts=verdict_fields(verdicts))
            write_no_result_artifacts(output, options, f"{NO_RESULT}: {why}", verdicts, begun=begun)

        try:
            return await command(output, options)
        except SoftphoneError as error:
            tell(str(error), invalid_because=[f"{NO_RESULT}: {error}"])
            raise
        except asyncio.CancelledError:
            tell("interrupted", interrupted=True)
            raise

    return reporting


def _now() -> datetime:
    return datetime.now().astimezone()


@tells_failure
async def run_load(output: CommandOutput, options: LoadOptions) -> int:
    """Run a load; return 0 if it is valid and every verdict is met, 4 if it is invalid, else 1.

    An invalid run of which a verdict fails outright returns 1, too; a run of which no verdict could
    be judged 4.
    """
    begun = _now()
    _check(output, options)
    expectations = expectations_of(options)
    access = ui_access(output, options)
    plan = replace(keyed_plan(output, options), watched=access is not None)
    baseline = Baseline(options)
    limit = known_limit(output, plan, options.workers) if options.ray is None else None
    series = SeriesFile(options.series)
    control = RunControl(plan, options.workers)
    async with AsyncExitStack() as stack:
        watcher, page = await stack.enter_async_context(
            _served_run(output, options, access, plan, series, control, expectations)
        )
        result = await run_plan(plan, options.workers, watcher, ray=options.ray, control=control)
        result.limit = limit
        verdicts = (*judge_result(result, expectations), *baseline.judge(output, result))
        if page is not None:
            await page.finish(result, verdicts, _sentence(result, verdicts))
    written = write_artifacts(output, options, result, verdicts, series=series, begun=begun)
    _print_result(output, result, verdicts)
    return _code(result, verdicts) or (DONE if written else FAILED)


@tells_failure
async def run_capacity_search(output: CommandOutput, options: CapacityOptions) -> int:
    """Run a search; return 0 if the capacity was found and confirmed, 4 if a number of calls could
    not be judged, else 1.
    """
    begun = _now()
    _check(output, options)
    expectations = expectations_of(options)
    if not expectations:
        raise ConfigurationError("--expect: say what a target must reach to hold its calls")
    check_search(options)
    _check_runs(options)
    access = ui_access(output, options)
    plan = replace(keyed_plan(output, options), watched=access is not None)
    search = CapacitySearch(
        options.calls, options.most, options.precision, options.confirm, options.repeat
    )
    series = SeriesFile(options.series)
    control = RunControl(plan, options.workers, searching=True)
    async with _served_run(output, options, access, plan, series, control, expectations) as (
        watcher,
        page,
    ):

        def tell(trial: CapacityTrial) -> None:
            print_trial(output, search, trial)
            if page is not None:
                page.add_trial(trial)

        result = await find_capacity(
            plan,
            search,
            expectations,
            workers=options.workers,
            ray=options.ray,
            watcher=watcher,
            on_trial=tell,
            control=control,
        )
        verdicts = judge_result(result, expectations)
        if page is not None:
            await page.finish(result, verdicts, search.whole_text())
    written = write_artifacts(
        output, options, result, verdicts, series=series, begun=begun, search=search
    )
    code, sentence = _search_code(search), search.whole_text()
    if code != DONE:
        output.explain_failure(sentence)
    output.summary(sentence, **result.summary(verdicts), capacity=search.summary())
    return code or (DONE if written else FAILED)


def print_trial(output: CommandOutput, search: CapacitySearch, trial: CapacityTrial) -> None:
    """Print how a trial of a search ended."""
    word = "held" if trial.held else "not held" if trial.valid else "invalid"
    if search.repeats:
        word = f"{word} (repeated trial {len(search.repeats)}, for the interval)"
    elif search.confirmations > 1:
        word = f"held again ({search.confirmations} times; confirmed by {search.confirm})"
    output.event(
        "trial",
        f"{_calls(trial.calls)}: {word}{': ' if trial.why else ''}{trial.why}",
        calls=trial.calls,
        held=trial.held,
        valid=trial.valid,
        why=trial.why,
    )


def _search_code(search: CapacitySearch) -> int:
    if search.interrupted:
        return INTERRUPTED
    if search.unjudged_trial is not None:
        return INVALID
    return DONE if search.confirmed else FAILED


def check_search(options: CapacityOptions | CalibrateOptions) -> None:
    """Raise ConfigurationError for a search that cannot begin, or not end."""
    if options.most < options.calls:
        raise ConfigurationError(
            f"--most {options.most}: expected at least {options.calls}, with which the search"
            " begins (--calls)"
        )
    if options.confirm < 1:
        raise ConfigurationError(f"--confirm {options.confirm}: expected 1 or more")
    if isinstance(options, CapacityOptions) and not 0 <= options.repeat <= MOST_REPEATS:
        raise ConfigurationError(f"--repeat {options.repeat}: expected 0 to {MOST_REPEATS}")
    if not 0 < options.precision < 1:
        raise ConfigurationError(
            f"--precision {options.precision:g}: expected a share between 0 and 1, such as 0.05"
        )


def _check_runs(options: CapacityOptions) -> None:
    """Raise ConfigurationError for what only a single run can do."""
    if options.baseline is not None or options.fail_on:
        raise ConfigurationError(
            "--baseline and --fail-on: figures of a search are of another number of calls each"
            " time; compare runs with the same"
        )


def _check(output: CommandOutput, options: LoadOptions) -> None:
    """Check before the run what would fail only at its end.  Raises ConfigurationError."""
    output.judges_lateness = True
    if options.workers < 1:
        raise ConfigurationError(f"--workers {options.workers}: expected 1 or more")
    check_artifacts(options)


@asynccontextmanager
async def _served_run(
    output: CommandOutput,
    options: LoadOptions,
    access: PageAccess | None,
    plan: LoadPlan,
    series: SeriesFile,
    control: RunControl,
    expectations: Sequence[Expectation],
) -> AsyncIterator[tuple[RunObserver, LoadPage | None]]:
    """Run the observers of a run or a search, and the page where it is asked for."""
    async with AsyncExitStack() as stack:
        page = None
        if access is not None:
            serving = serve_page(
                output, options, access, plan=plan, control=control, expectations=expectations
            )
            page = await stack.enter_async_context(serving)
        watcher = await stack.enter_async_context(
            watched_run(output, options, plan, series, control)
        )
        yield (watcher if page is None else page.watch(watcher)), page


@dataclass(slots=True)
class _RunListeners:
    second: list[Callable[[RunSecond], None]]
    progress: list[Callable[[int, int], None]]


@asynccontextmanager
async def watched_run(
    output: CommandOutput,
    options: LoadOptions,
    plan: LoadPlan,
    series: SeriesFile,
    control: RunControl | None = None,
) -> AsyncIterator[RunObserver]:
    """Run the observers of a run: the screen or the script's output, the series, metrics."""
    listeners = _RunListeners([], [])
    async with AsyncExitStack() as stack:
        listeners.second.append(stack.enter_context(series).add_second)
        listeners.second += await _metrics_listeners(stack, output, options, plan)
        if output.json:
            listeners.second.append(lambda s: output.event("second", **second_fields(s)))
        screen = LoadScreen(plan, options.workers, control=control)
        lines = ProgressLines(plan, control=control)
        lateness = LatenessWarning(plan, output.warn)
        update = stack.enter_context(output.screen(screen.view(output.stdout_console.width)))

        def second(latest: RunSecond) -> None:
            screen.add_second(latest)
            update(screen.view(output.stdout_console.width))

        def progress(done: int, whole: int) -> None:
            screen.progress(done, whole)
            update(screen.view(output.stdout_console.width))

        def begin(tried: LoadPlan) -> None:
            # The counts of the trial before do not belong to this one.
            nonlocal screen, lines, lateness
            series.begin_trial()
            trial = f"trial with {_calls(tried.calls)}"
            screen = LoadScreen(tried, options.workers, trial)
            lines = ProgressLines(tried, trial)
            lateness = LatenessWarning(tried, output.warn)

        listeners.second += [second, lambda latest: lateness.add_second(latest)]
        listeners.progress.append(progress)
        if not output.draws:
            listeners.second.append(lambda latest: output.progress(lines.running(latest)))
            listeners.progress.append(lambda *n: output.progress(lines.registered(*n)))
        yield RunObserver(
            second=lambda latest: _call_listeners(listeners.second, latest),
            progress=lambda *counts: _call_listeners(listeners.progress, *counts),
            begin=begin,
        )


async def _metrics_listeners(
    stack: AsyncExitStack, output: CommandOutput, options: LoadOptions, plan: LoadPlan
) -> list[Callable[[RunSecond], None]]:
    """Serve the metrics of a run, and push them, as asked for; what is to get each second."""
    listeners: list[Callable[[RunSecond], None]] = []
    if options.prometheus is not None:
        served = await stack.enter_async_context(PrometheusPage(options.prometheus))
        url = f"{served.url}metrics"
        output.event("prometheus", f"figures for Prometheus at {url}", url=url)
        listeners.append(served.add_second)
    if plan.otel is not None:
        pushed = await stack.enter_async_context(OtelMetrics(plan.otel, plan))
        listeners.append(pushed.add_second)
    return listeners


def _calls(number: int) -> str:
    return "1 call" if number == 1 else f"{number:,} calls"


def _call_listeners(listeners: Sequence[Callable[..., None]], *values: object) -> None:
    for listener in listeners:
        listener(*values)


def _print_result(
    output: CommandOutput, result: LoadResult, verdicts: Sequence[ExpectationVerdict]
) -> None:
    output.table("", ("figure", "value"), result_figures(result))
    failed = sorted(failure_causes(result.total).items(), key=lambda item: -item[1])
    if failed:
        output.table("", ("failed", "times"), [(cause, f"{count:,}") for cause, count in failed])
    if verdicts:
        rows = [
            (each.expected, each.word.upper() if each.broken else each.word, each.measured)
            for each in verdicts
        ]
        output.table("", ("expected", "", "measured"), rows)
    sentence = _sentence(result, verdicts)
    if _code(result, verdicts) != DONE:
        output.explain_failure(sentence)
    output.summary(sentence, **result.summary(verdicts))


def _sentence(result: LoadResult, verdicts: Sequence[ExpectationVerdict]) -> str:
    lines = [f"INVALID: {reason}" for reason in result.invalid_because]
    lines += [_unmet_text(result, verdict) for verdict in verdicts if verdict.broken]
    if result.interrupted:
        lines.append("interrupted: the figures are of what there was")
    tolerated = result.plan.tolerate_late
    if not lines and tolerated != TOLERATE_LATE:
        lines.append(f"--tolerate-late: up to {tolerated:g} % of our packets were borne late")
    unjudged = unjudged_text(verdicts)
    if all(line.startswith("--tolerate") for line in lines):
        said = "and no verdict was asked for (--expect)"
        if verdicts:
            said = "every other verdict met" if unjudged else "every verdict met"
        if not verdicts or any(each.judged for each in verdicts):
            lines.append(f"valid, {said}: {_came_about(result)}")
    if unjudged:
        lines.append(unjudged)
    return "\n".join(lines)


def _unmet_text(result: LoadResult, verdict: ExpectationVerdict) -> str:
    text = f"not met: {verdict.expected} (measured: {verdict.measured})"
    if verdict.outright and not result.valid:
        return f"FAILED, however busy the generator was: {text}"
    return text


def _came_about(result: LoadResult) -> str:
    """Return how many calls, or operations, came about: a valid run may be one of none."""
    total = result.total
    if total.operations:
        return ", ".join(
            f"{tally.succeeded:,} of {tally.attempted:,} {OPERATIONS[name].share.replace('_', ' ')}"
            for name, tally in total.operations.items()
        )
    if total.attempted:
        silent, dropped = total.failed[NO_MEDIA], total.dropped.total()
        return (
            f"{total.answered:,} of {total.attempted:,} calls were answered"
            + (f", {silent:,} of them without a packet of media" if silent else "")
            + (f", {dropped:,} dropped" if dropped else "")
        )
    return f"{total.registered:,} of {len(result.plan.users):,} users registered"


def _code(result: LoadResult, verdicts: Sequence[ExpectationVerdict]) -> int:
    if result.interrupted:
        return INTERRUPTED
    if not result.valid:
        return FAILED if any(verdict.outright for verdict in verdicts) else INVALID
    if any(verdict.broken for verdict in verdicts):
        return FAILED
    return INVALID if verdicts and not any(verdict.judged for verdict in verdicts) else DONE
