"""Paces the calls of one worker: on schedule, and at most `plan.calls` at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from softphone.load.plan import LoadPlan


class ArrivalPacer:
    """Begins one worker's share of the arrivals of a plan, each with one of `plan.calls` slots.

    Without a free slot an arrival waits, and the schedule with it: `on_held_back(seconds)`.
    `on_late(seconds)` says how late each began.  `over` ends the arrivals.
    Raises ConfigurationError for a bad schedule.
    """

    def __init__(
        self,
        plan: LoadPlan,
        over: asyncio.Event,
        *,
        on_late: Callable[[float], None],
        on_held_back: Callable[[float], None],
        clock: Callable[[], float],
    ) -> None:
        self._plan = plan
        self._schedule = plan.schedule()
        self._over = over
        self._on_late = on_late
        self._on_held_back = on_held_back
        self._clock = clock
        self._slots = asyncio.Semaphore(plan.calls)

    def release_slot(self) -> None:
        """Note that a call that was begun is over."""
        self._slots.release()

    async def begin_calls(
        self,
        begin: Callable[[int], None],
        *,
        begun: float,
        most: int | None = None,
        ends_run: bool = True,
    ) -> None:
        """Call `begin` with the number of each arrival when it is due, `most` times at the most.

        `begun` is when the run began.  With `ends_run` the run is over `plan.duration` after the
        last of `plan.calls` began, or after the last arrival if there are fewer.
        """
        plan, over, started = self._plan, self._over, 0
        for number, at in enumerate(self._schedule.arrival_times()):
            if number % plan.workers != plan.worker:
                continue
            if started == most:
                break
            await self._until(begun + at)
            if over.is_set():
                return
            late = self._clock() - (begun + at)
            begun += await self._take_slot()
            if over.is_set():
                return
            self._on_late(late)
            begin(number)
            started += 1
            if ends_run and started == plan.calls:
                self._end_after_duration()
        if ends_run and started < plan.calls:
            self._end_after_duration()

    def _end_after_duration(self) -> None:
        asyncio.get_running_loop().call_later(self._plan.duration, self._over.set)

    async def _until(self, at: float) -> None:
        delay = at - self._clock()
        if delay <= 0:
            # Overdue arrivals begin at once, but each yields to the event loop first.
            await asyncio.sleep(0)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._over.wait()

    async def _take_slot(self) -> float:
        """Take a slot, unless the run ends first; returns the seconds that this took."""
        if not self._slots.locked():
            await self._slots.acquire()
            return 0.0
        asked = self._clock()
        slot = asyncio.ensure_future(self._slots.acquire())
        over = asyncio.ensure_future(self._over.wait())
        try:
            await asyncio.wait({slot, over}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (slot, over):
                task.cancel()
        held_back = self._clock() - asked
        self._on_held_back(held_back)
        return held_back
