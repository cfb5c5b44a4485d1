"""Running a plan in this process or by a pool of workers; either way gives one `LoadResult`.

A capacity search is a series of such runs against one target.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from softphone.load.capacity import CapacitySearch, CapacityTrial
from softphone.load.distribute.run_control import RunControl
from softphone.load.distribute.share_runner import make_runner
from softphone.load.distribute.worker_channel import LocalWorkerChannel, WorkerChannel
from softphone.load.distribute.worker_pool import WorkerPool
from softphone.load.measure import FailedCall, RunLog, RunSecond
from softphone.load.plan import Expectation, LoadPlan
from softphone.load.result import LoadResult, judge_result
from softphone.load.run import relaxed_garbage_collection

Made = TypeVar("Made")

LEAST_ANSWERED = 0.99
"""The share of calls to a light far end that must be answered for the generator to have held."""


@dataclass(frozen=True, slots=True)
class RunObserver:
    """Callbacks for the progress of a run: each second of it, and the registrations before.

    `worker` gets each second of each worker by its number, from 0 on, or why it was lost;
    `failure`, of a watched plan, gets calls that failed.  In a capacity search `begin` gets the
    plan of each trial before it runs.
    """

    second: Callable[[RunSecond], None] = lambda second: None
    progress: Callable[[int, int], None] = lambda done, whole: None
    worker: Callable[[int, RunSecond | str], None] = lambda number, what: None
    failure: Callable[[FailedCall], None] = lambda call: None
    begin: Callable[[LoadPlan], None] = lambda plan: None


async def run_plan(
    plan: LoadPlan,
    workers: int = 1,
    watcher: RunObserver | None = None,
    *,
    ray: str | None = None,
    control: RunControl | None = None,
) -> LoadResult:
    """Run a plan to its end.  Canceling this task ends the run early, with a result.

    With `ray` the workers are actors of the Ray cluster at that address.  `control` may stop or
    change the run; the result has its `changes`.

    Raises ConfigurationError before anything is sent; SoftphoneError when no user could register.
    """
    watcher = watcher or RunObserver()
    control = control or RunControl(plan, workers)
    log = RunLog()

    def second(latest: RunSecond) -> None:
        control.note_time(latest.at)
        watcher.second(latest)
        log.add_second(latest)

    heard = replace(watcher, second=second)
    if ray is not None:
        from softphone.load.distribute.ray_cluster import RayWorkerChannel, ray_cluster

        async with ray_cluster(ray) as cluster:
            result = await _run_with_workers(
                plan, workers, heard, control, lambda: RayWorkerChannel.hire(cluster)
            )
    elif workers > 1:
        result = await _run_with_workers(plan, workers, heard, control, LocalWorkerChannel.hire)
    else:
        result = await _alone(plan, heard, control)
    control.attach(None)
    result.changes = control.changes
    for each in log.intervals:
        result.add_second(each)
    return result


async def _run_with_workers(
    plan: LoadPlan,
    workers: int,
    watcher: RunObserver,
    control: RunControl,
    hire: Callable[[], Awaitable[WorkerChannel]],
) -> LoadResult:
    pool = WorkerPool(
        plan.shares(workers),
        on_second=watcher.second,
        on_progress=watcher.progress,
        on_failure=watcher.failure,
        on_worker=watcher.worker,
        hire=hire,
    )
    control.attach(pool)
    result, early = await _to_the_end(pool.run_shares(plan), pool.stop_run)
    result.interrupted = early
    return result


async def _alone(plan: LoadPlan, watcher: RunObserver, control: RunControl) -> LoadResult:
    (share,) = plan.shares(1)

    def second(latest: RunSecond) -> None:
        watcher.worker(0, latest)
        watcher.second(latest)

    async with make_runner(
        share, on_second=second, on_progress=watcher.progress, on_failure=watcher.failure
    ) as runner:
        control.attach(runner)
        with relaxed_garbage_collection():
            outcome, early = await _to_the_end(runner.run_share(), runner.stop_run)
    result = LoadResult(plan, interrupted=early)
    for reason in outcome.invalid_because:
        result.add_invalid_reason(reason, outcome.failed_checks[reason])
    return result


async def _to_the_end(
    work: Coroutine[Any, Any, Made], stop: Callable[[], None]
) -> tuple[Made, bool]:
    """The result of `work`, and whether it was stopped early.

    The first cancellation calls `stop` and keeps the partial result; a second one cancels `work`.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task), False
    except asyncio.CancelledError:
        current = asyncio.current_task()
        if task.done() or current is None:
            raise
        current.uncancel()
        stop()
    try:
        return await asyncio.shield(task), True
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raise


async def find_capacity(
    plan: LoadPlan,
    search: CapacitySearch,
    expectations: Sequence[Expectation],
    *,
    workers: int = 1,
    ray: str | None = None,
    watcher: RunObserver | None = None,
    on_trial: Callable[[CapacityTrial], None] = lambda trial: None,
    judge: Callable[[LoadResult], CapacityTrial] | None = None,
    control: RunControl | None = None,
) -> LoadResult:
    """Run the search; returns the last run that held at the capacity, or the last run if none held.

    `plan` gives everything but the number of calls.  `judge` makes the trial of a result, else
    `trial_of` with the expectations.  `control` may stop the search.  Raises what `run_plan` does.
    """
    held: dict[int, LoadResult] = {}
    last = LoadResult(replace(plan, calls=search.first))
    while (calls := search.next_calls) is not None:
        share = min(workers, calls, max(1, len(plan.users) // 2) if len(plan.users) > 1 else calls)
        tried = replace(plan, calls=calls)
        controlled = {}
        if control is not None:
            control.begin_run(tried, share)
            controlled = {"control": control}
        if watcher is not None:
            watcher.begin(tried)
        result = last = await run_plan(tried, share, watcher, ray=ray, **controlled)
        result.interrupted |= control is not None and control.stopped
        trial = trial_of(result, expectations) if judge is None else judge(result)
        search.add_trial(trial)
        on_trial(trial)
        if trial.held:
            held[calls] = result
    return held.get(search.capacity, last)


def generator_trial(result: LoadResult) -> CapacityTrial:
    """Turn the result of a run against a light far end into a trial of the generator.

    Here an invalid run is the answer: the generator did not hold that many calls.
    """
    trial = trial_of(result, ())
    if result.interrupted:
        return trial
    if trial.held and trial.answered < LEAST_ANSWERED:
        why = f"only {trial.answered:.1%} of the calls were answered"
        return replace(trial, held=False, why=why)
    return replace(trial, valid=True)


def trial_of(result: LoadResult, expectations: Sequence[Expectation]) -> CapacityTrial:
    """Turn the result of a run into a trial of its number of calls.

    An invalid or interrupted run says nothing about the target, but that an expectation is not met
    outright.
    """
    unmet = [verdict for verdict in judge_result(result, expectations) if not verdict.met]
    unmet.sort(key=lambda verdict: not verdict.outright)
    outright = bool(unmet) and unmet[0].outright
    why = f"{unmet[0].expected} (measured: {unmet[0].measured})" if unmet else ""
    total = result.total
    if not result.valid and not outright:
        why = result.invalid_because[0]
    if result.interrupted:
        why = "interrupted"
    return CapacityTrial(
        calls=result.plan.calls,
        held=result.valid and not unmet and not result.interrupted,
        valid=(result.valid or outright) and not result.interrupted,
        why=why,
        answered=total.served / total.attempted if total.attempted else 0.0,
        mos_p5=total.mos.quantile(0.05),
        setup_p99_ms=total.setup_ms.quantile(0.99),
        loss_percent=total.loss_percent,
        interrupted=result.interrupted,
    )
