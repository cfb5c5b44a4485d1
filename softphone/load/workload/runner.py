"""The runner of a load without calls: one worker's share, paced, counted and judged.

It has the interface of `softphone.load.run.Runner`, so that everything above it is the same.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Self

from softphone.errors import ConfigurationError
from softphone.load.measure import FailedCall, RunSecond, Tally
from softphone.load.plan import LoadPlan
from softphone.load.run import WorkerOutcome
from softphone.load.run.arrival_pacer import ArrivalPacer
from softphone.load.run.bottleneck import BottleneckDetector
from softphone.load.run.fault import injected_users
from softphone.load.workload.kinds import workload_class
from softphone.load.workload.workload import WorkloadMeter

GRACE = 10.0
"""Seconds that what is under way has to end once the run is over."""


class WorkloadRunner:
    """An async context: entering reaches the server and signs users in; leaving closes all.

    The constructor raises ConfigurationError for a plan of calls or an unknown kind; entering
    raises what `Workload.open` does.
    """

    def __init__(
        self,
        plan: LoadPlan,
        *,
        on_second: Callable[[RunSecond], None],
        on_progress: Callable[[int, int], None] = lambda done, whole: None,
        on_failure: Callable[[FailedCall], None] = lambda call: None,
        clock: Callable[[], float] = time.monotonic,
        processor: Callable[[], float] = time.process_time,
    ) -> None:
        if plan.workload is None:
            raise ConfigurationError("the plan is one of calls")
        self.plan = plan
        self._on_second = on_second
        self._on_progress = on_progress
        self._clock = clock
        self._processor = processor
        self._stack = AsyncExitStack()
        self._bottleneck = BottleneckDetector(
            full=plan.workers >= (os.cpu_count() or 1), tolerate_late=plan.tolerate_late
        )
        self._meter = WorkloadMeter(clock)
        self._workload = workload_class(plan.workload.kind)(plan, self._meter)
        self._over = asyncio.Event()
        self._pacer = ArrivalPacer(
            plan,
            self._over,
            on_late=self._bottleneck.add_late_arrival,
            on_held_back=self._note_held_back,
            clock=clock,
        )
        self._under_way = self._peak = 0
        self._idle = asyncio.Event()
        self._grace = GRACE
        self._begun = self._read_at = clock()
        self._used = processor()

    async def __aenter__(self) -> Self:
        try:
            await self._workload.open(self._stack, self._on_progress)
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()

    async def run_share(self) -> WorkerOutcome:
        """Run the share to its end; the outcome says why it is invalid, if it is."""
        self._begun = self._read_at = self._clock()
        self._used = self._processor()
        self._meter.tally.injected.update(injected_users(self.plan))
        tasks = [asyncio.ensure_future(self._tick())]
        faults = self.plan.faults
        for seconds, every in ((faults.cut_every, False), (faults.outage_every, True)):
            if seconds:
                tasks.append(asyncio.ensure_future(self._cut(seconds, every=every)))
        try:
            await self._pacer.begin_calls(
                self._begin,
                begun=self._begun,
                most=self._workload.most,
                lasting=self._workload.kept,
            )
            await self._over.wait()
            await self._wait_for_the_last()
            await self._workload.finish()
        finally:
            self._over.set()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self._report_second()
        bottleneck = self._bottleneck
        return WorkerOutcome(bottleneck.invalid_reasons(), bottleneck.failed_checks())

    async def _wait_for_the_last(self) -> None:
        """Let what is under way end, unless users are kept: these end with the run."""
        if self._workload.kept or not self._under_way:
            return
        try:
            async with asyncio.timeout(self._grace):
                await self._idle.wait()
        except TimeoutError:
            return  # `finish` counts what did not succeed

    def stop_run(self) -> None:
        """End the run now, and keep the counts so far."""
        self._grace = 0.0
        self._over.set()

    def change_load(self, *, rate: float | None = None, calls: int | None = None) -> None:
        """Change the rate of all workers together, or how many of this one may be under way.

        `rate` is in arrivals a second.
        """
        self._pacer.change(rate=rate, calls=calls)

    def _begin(self, number: int) -> None:
        self._under_way += 1
        self._idle.clear()
        self._workload.begin(number, self._done)
        self._peak = max(self._peak, self._workload.up)

    def _done(self) -> None:
        self._under_way -= 1
        self._pacer.release_slot()
        if not self._under_way:
            self._idle.set()

    def _note_held_back(self, seconds: float) -> None:
        self._meter.tally.held_back += seconds

    async def _cut(self, seconds: float, *, every: bool) -> None:
        """Cut connections every so many seconds: all of them, or each in turn."""
        what = "connections cut, all at once" if every else "connection cut"
        while True:
            await asyncio.sleep(seconds)
            self._meter.tally.injected[what] += self._workload.cut_connections(every=every)

    async def _tick(self) -> None:
        number = 0
        while True:
            number += 1
            await asyncio.sleep(max(0.0, self._begun + number - self._clock()))
            self._report_second()

    def _report_second(self) -> None:
        """Collect what was counted since the previous second, and pass it on."""
        now, used, up = self._clock(), self._processor(), self._workload.up
        second = RunSecond(at=now - self._begun, up=up, peak=max(self._peak, up))
        second.tally, self._meter.tally = self._meter.tally, Tally()
        passed = now - self._read_at
        second.tally.cpu_seconds = used - self._used
        second.tally.span = passed / self.plan.workers
        second.cpu = second.tally.cpu_seconds / max(passed, 1e-3)
        self._used, self._read_at, self._peak = used, now, up
        self._bottleneck.add_second(second)
        self._on_second(second)
