"""Conducting a run: in this process, or by a crew of workers; either way it is one `Result`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from softphone.load.distribute.worker_channel import LocalLine, WorkerLine
from softphone.load.distribute.worker_pool import Crew
from softphone.load.measure import Second
from softphone.load.plan import LoadPlan
from softphone.load.result import Result
from softphone.load.run import Runner, settled_memory

__all__ = ["Watcher", "conduct"]

Made = TypeVar("Made")

MOST_KEPT = 7200
"""Pieces of time that a run remembers for its report; then two and two become one, so that a run
of days does not grow."""


@dataclass(frozen=True, slots=True)
class Watcher:
    """Who is told how a run goes: of every second, and of the registrations before it."""

    second: Callable[[Second], None] = lambda second: None
    progress: Callable[[int, int], None] = lambda done, whole: None


async def conduct(
    plan: LoadPlan, workers: int = 1, watcher: Watcher | None = None, *, ray: str | None = None
) -> Result:
    """Run a plan to its end, or until this task is canceled, which ends it with a result.

    With `ray` the workers are actors of the Ray cluster at that address.

    Raises ConfigurationError before anything is sent; SoftphoneError when nobody could register.
    """
    watcher = watcher or Watcher()
    kept: list[Second] = []

    def second(told: Second) -> None:
        watcher.second(told)
        kept.append(told)
        if len(kept) >= MOST_KEPT:
            _thin(kept)

    heard = Watcher(second, watcher.progress)
    if ray is not None:
        from softphone.load.distribute.ray_cluster import RayLine, ray_cluster

        async with ray_cluster(ray) as cluster:
            result = await _by_crew(plan, workers, heard, lambda: RayLine.hire(cluster))
    elif workers > 1:
        result = await _by_crew(plan, workers, heard, LocalLine.hire)
    else:
        result = await _alone(plan, heard)
    for told in kept:
        result.take(told)
    return result


def _thin(kept: list[Second]) -> None:
    """Make one piece of time of each two."""
    for first, second in zip(kept[::2], kept[1::2], strict=False):
        first.follow(second)
    del kept[1::2]


async def _by_crew(
    plan: LoadPlan,
    workers: int,
    watcher: Watcher,
    hire: Callable[[], Awaitable[WorkerLine]],
) -> Result:
    crew = Crew(
        plan.shares(workers), on_second=watcher.second, on_progress=watcher.progress, hire=hire
    )
    result, early = await _to_the_end(crew.run(plan), crew.stop)
    result.interrupted = early
    return result


async def _alone(plan: LoadPlan, watcher: Watcher) -> Result:
    (share,) = plan.shares(1)
    async with Runner(share, on_second=watcher.second, on_progress=watcher.progress) as runner:
        with settled_memory():
            outcome, early = await _to_the_end(runner.run(), runner.stop)
    return Result(plan, invalid_because=list(outcome.invalid_because), interrupted=early)


async def _to_the_end(
    work: Coroutine[Any, Any, Made], stop: Callable[[], None]
) -> tuple[Made, bool]:
    """What `work` gives, and whether it was stopped early.

    The first cancellation ends the run and keeps what it has; a second one gives it up.
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
