"""Running a capacity search: one run after the other against the target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from softphone.load.capacity import CapacitySearch, CapacityTrial
from softphone.load.distribute.plan_runner import RunObserver, run_plan
from softphone.load.plan import Expectation, LoadPlan
from softphone.load.result import LoadResult, judge_result

__all__ = ["find_capacity", "trial_of"]


async def find_capacity(
    plan: LoadPlan,
    search: CapacitySearch,
    expectations: Sequence[Expectation],
    *,
    workers: int = 1,
    ray: str | None = None,
    watcher: RunObserver | None = None,
    on_trial: Callable[[CapacityTrial], None] = lambda trial: None,
) -> LoadResult:
    """Search; gives the last run that was held at the capacity, or the last of all if none was.

    `plan` is that of every run but for its calls.  Raises what `run_plan` does.
    """
    held: dict[int, LoadResult] = {}
    last = LoadResult(replace(plan, calls=search.first))
    while (calls := search.next_calls) is not None:
        share = min(workers, calls, max(1, len(plan.users) // 2) if len(plan.users) > 1 else calls)
        result = last = await run_plan(replace(plan, calls=calls), share, watcher, ray=ray)
        trial = trial_of(result, expectations)
        search.add_trial(trial)
        on_trial(trial)
        if trial.held:
            held[calls] = result
    return held.get(search.capacity, last)


def trial_of(result: LoadResult, expectations: Sequence[Expectation]) -> CapacityTrial:
    """What a run says about its number of calls.

    One that was invalid, or interrupted, says nothing about the target.
    """
    unmet = [verdict for verdict in judge_result(result, expectations) if not verdict.met]
    why = f"{unmet[0].expected}: {unmet[0].measured}" if unmet else ""
    total = result.total
    if not result.valid:
        why = result.invalid_because[0]
    if result.interrupted:
        why = "interrupted"
    return CapacityTrial(
        calls=result.plan.calls,
        held=result.valid and not unmet and not result.interrupted,
        valid=result.valid and not result.interrupted,
        why=why,
        answered=total.served / total.attempted if total.attempted else 0.0,
        mos_p5=total.mos.quantile(0.05),
        setup_p99_ms=total.setup_ms.quantile(0.99),
        loss_percent=total.loss_percent,
        interrupted=result.interrupted,
    )
