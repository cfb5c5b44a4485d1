"""Paces the calls of one worker: on schedule, up to a number at once; both may be changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress

from softphone.load.plan import ArrivalProcess, LoadPlan, parse_arrival


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
        self._calls = self._free = plan.calls
        self._started = 0
        self._lasting = False
        self._number = 0
        self._begun = self._shifted = 0.0
        self._arrivals: Iterator[tuple[int, float]] = iter(())
        self._changes = 0
        self._pause: asyncio.Timeout | None = None
        self._ending = False
        self.waited = 0.0
        """Seconds by which the last arrival began later than the schedule had it at first."""

    def release_slot(self) -> None:
        """Note that a call that was begun is over."""
        self._free += 1
        if self._free == 1:
            self._wake()

    def change(self, *, rate: float | None = None, calls: int | None = None) -> None:
        """Change the rate of all workers together, or the most calls of this one.

        A rate replaces the rest of the schedule: by Poisson arrivals if it has those, else by
        arrivals at even intervals.
        """
        if calls is not None:
            self._free += calls - self._calls
            self._calls = calls
            if self._lasting:
                # Those beyond are hung up, and others may begin in their place later.
                self._started = min(self._started, calls)
        if rate is not None:
            self._changes += 1
            kind = "poisson" if self._plan.arrival == "poisson" else "constant"
            schedule = parse_arrival(kind, rate=rate, seed=self._plan.seed + self._changes)
            # Numbering goes on at a multiple of `workers`: each number keeps its worker.
            first = (self._number // self._plan.workers + 1) * self._plan.workers
            self._begun, self._shifted = self._clock() + 1.0 / rate, 0.0
            self._arrivals = self._own_arrivals(schedule, first)
        self._wake()

    async def begin_calls(
        self,
        begin: Callable[[int], None],
        *,
        begun: float,
        most: int | None = None,
        lasting: bool = False,
        ends_run: bool = True,
    ) -> None:
        """Call `begin` with the number of each arrival when it is due, `most` times at the most.

        `begun` is when the run began.  With `lasting` calls stay until the run ends, so that only
        as many begin as may be up.  With `ends_run` the run is over `plan.duration` after the last
        of the most calls began, or after the last arrival if there are fewer; the schedule may be
        changed until then.
        """
        self._begun, self._lasting = begun, lasting
        self._arrivals = self._own_arrivals(self._schedule, 0)
        while self._started != most and not self._over.is_set():
            full = lasting and self._started >= self._calls
            arrival = None if full else next(self._arrivals, None)
            if arrival is not None:
                await self._begin_one(begin, *arrival)
            elif not ends_run:
                return
            if ends_run and (arrival is None or self._started >= self._calls):
                self._end_after_duration()
            if arrival is None:
                await self._wait()
        if ends_run:
            self._end_after_duration()

    async def _begin_one(self, begin: Callable[[int], None], number: int, at: float) -> None:
        """Begin a call when it is due, unless the run ends, or the rate changes, before."""
        changes = self._changes
        while (delay := self._begun + at - self._clock()) > 0:
            await self._wait(delay)
            if self._over.is_set() or self._changes != changes:
                return
        # Overdue arrivals begin at once, but each yields to the event loop first.
        await asyncio.sleep(0)
        late = max(0.0, -delay)
        held_back = await self._take_slot()
        self._begun += held_back
        self._shifted += held_back
        if self._over.is_set():
            return
        self.waited = late + self._shifted
        self._on_late(late)
        self._number = number
        self._started += 1
        begin(number)

    def _own_arrivals(self, schedule: ArrivalProcess, first: int) -> Iterator[tuple[int, float]]:
        """Yield number and seconds of each arrival of this worker; numbers begin at `first`."""
        plan = self._plan
        for number, at in enumerate(schedule.arrival_times(), first):
            if number % plan.workers == plan.worker:
                yield number, at

    def _end_after_duration(self) -> None:
        if not self._ending:
            self._ending = True
            asyncio.get_running_loop().call_later(self._plan.duration, self._over.set)

    async def _take_slot(self) -> float:
        """Take a slot, unless the run ends first; returns the seconds that this took."""
        held_back = 0.0
        if self._free <= 0:
            asked = self._clock()
            while self._free <= 0 and not self._over.is_set():
                await self._wait()
            held_back = self._clock() - asked
            self._on_held_back(held_back)
        self._free -= 1
        return held_back

    async def _wait(self, seconds: float | None = None) -> None:
        """Wait for `seconds`, or until the run ends or something has changed."""
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds) as self._pause:
                    await self._over.wait()
        finally:
            self._pause = None

    def _wake(self) -> None:
        if self._pause is not None and not self._pause.expired():
            self._pause.reschedule(0.0)
