"""A pool of workers, here or on other machines, with a common start and merged seconds.

Histograms are merged; percentiles are never averaged.  When a worker is lost, the run goes on
with the others, reports the lost share, and is invalid.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from softphone.errors import ConfigurationError, SoftphoneError
from softphone.load.distribute.worker_channel import (
    LocalWorkerChannel,
    WorkerChannel,
    decode_line,
    encode_line,
)
from softphone.load.measure import FailedCall, GeneratorCheck, RunSecond
from softphone.load.plan import LoadPlan
from softphone.load.result import LoadResult

HEADSTART = 0.2
"""Seconds between sending `go` and the common start, so that `go` reaches every worker first."""
LAST_WORDS = 30.0
"""Seconds that a worker has to hang up and exit once the run is over."""


class WorkerFailed(SoftphoneError):
    """A worker failed before the run began."""

    _hint = "look at the log of that worker, and start the run again"


class _WorkerHandle:
    """The pool's state of one worker."""

    def __init__(self, plan: LoadPlan, channel: WorkerChannel) -> None:
        self.plan = plan
        self.channel = channel
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.progress = (0, len(plan.users))
        self.begun: float | None = None
        self.seconds: deque[RunSecond] = deque()
        self.at = 0.0
        self.reasons: dict[str, GeneratorCheck] | None = None
        self.lost: str = ""

    @property
    def ended(self) -> bool:
        """Whether the worker has reported its end, or is lost: no more seconds will come."""
        return self.reasons is not None or bool(self.lost)

    def send_line(self, kind: str, value: Any = None) -> None:
        """Send a line to the worker; dropped when it is gone."""
        self.channel.send_line(encode_line(kind, value))


class WorkerPool:
    """Runs each share of a plan by a worker of its own; `hire` starts one.

    `on_worker` gets each second of each worker, before they are merged, or why it was lost.
    """

    def __init__(
        self,
        plans: Sequence[LoadPlan],
        *,
        on_second: Callable[[RunSecond], None],
        on_progress: Callable[[int, int], None] = lambda done, whole: None,
        on_failure: Callable[[FailedCall], None] = lambda call: None,
        on_worker: Callable[[int, RunSecond | str], None] = lambda number, what: None,
        hire: Callable[[], Awaitable[WorkerChannel]] = LocalWorkerChannel.hire,
    ) -> None:
        self._plans = plans
        self._on_second = on_second
        self._on_progress = on_progress
        self._on_failure = on_failure
        self._on_worker = on_worker
        self._hire = hire
        self._workers: list[_WorkerHandle] = []
        self._stopped = False

    @property
    def lines(self) -> tuple[WorkerChannel, ...]:
        """The channels to the workers."""
        return tuple(worker.channel for worker in self._workers)

    async def run_shares(self, whole: LoadPlan) -> LoadResult:
        """Run all shares to the end; returns the merged result.

        Raises ConfigurationError or WorkerFailed when a worker cannot begin; then none begins.
        """
        listeners: list[asyncio.Task[None]] = []
        try:
            for plan in self._plans:
                self._workers.append(worker := _WorkerHandle(plan, await self._hire()))
                listeners.append(asyncio.ensure_future(self._read_worker(worker)))
            self._brief(whole)
            await asyncio.gather(*(worker.ready for worker in self._workers))
            if self._stopped:
                raise asyncio.CancelledError
            begin = time.time() + HEADSTART
            for worker in self._workers:
                # Each worker goes by its own wall clock.
                worker.send_line("go", begin + worker.channel.offset)
            await asyncio.gather(*listeners)
        finally:
            await self._dismiss(listeners)
        return self._result(whole)

    def stop_run(self) -> None:
        """End the run early with a partial result; cancel it when it has not begun."""
        self._stopped = True
        for worker in self._workers:
            worker.send_line("stop")

    def change_load(self, *, rate: float | None = None, calls: int | None = None) -> None:
        """Change the rate, and the most calls at once, of all workers together."""
        count = len(self._workers)
        for number, worker in enumerate(self._workers):
            share = None if calls is None else len(range(number, calls, count))
            worker.send_line("change", {"rate": rate, "calls": share})

    def _brief(self, whole: LoadPlan) -> None:
        """Send each worker its share, divided again when the workers run on several nodes."""
        nodes = [worker.channel.node for worker in self._workers]
        if any(nodes):
            for worker, plan in zip(self._workers, whole.shares(len(nodes), nodes), strict=True):
                worker.plan = plan
        for worker in self._workers:
            worker.send_line("plan", worker.plan.to_plain())

    async def _read_worker(self, worker: _WorkerHandle) -> None:
        """Handle a worker's lines until it has ended."""
        try:
            while data := await worker.channel.receive_line():
                self._handle_line(worker, *decode_line(data))
        except ValueError as error:
            worker.lost = f"said something unknown: {error}"
            worker.channel.kill()
        ended = await worker.channel.wait_for_end()
        if worker.reasons is None and not worker.lost:
            worker.lost = ended
        if worker.lost:
            self._on_worker(worker.plan.worker, worker.lost)
        if not worker.ready.done():
            failure = WorkerFailed(f"worker {worker.plan.worker + 1} {worker.lost} before it began")
            worker.ready.set_exception(failure)
        self._report_merged_seconds()

    def _handle_line(self, worker: _WorkerHandle, kind: str, value: Any) -> None:
        if kind == "progress":
            worker.progress = (value[0], value[1])
            done = [each.progress for each in self._workers]
            self._on_progress(sum(d for d, _ in done), sum(w for _, w in done))
        elif kind == "ready" and not worker.ready.done():
            worker.ready.set_result(None)
        elif kind == "begun":
            worker.begun = float(value) - worker.channel.offset
        elif kind == "second":
            worker.seconds.append(latest := RunSecond.from_plain(value))
            worker.at = latest.at
            self._on_worker(worker.plan.worker, latest)
            self._report_merged_seconds()
        elif kind == "failure":
            self._on_failure(FailedCall.from_plain(value).of_worker(worker.plan.worker))
        elif kind == "done":
            worker.reasons = {why: GeneratorCheck(check) for why, check in value.items()}
        elif kind == "failed":
            made = ConfigurationError if value["usage"] else WorkerFailed
            worker.lost = value["message"]
            if not worker.ready.done():
                worker.ready.set_exception(made(value["message"]))

    def _report_merged_seconds(self) -> None:
        """Pass on each second that every live worker has reported."""
        while True:
            have = [worker for worker in self._workers if worker.seconds]
            waiting = any(not worker.ended for worker in self._workers if worker not in have)
            if not have or waiting:
                return
            merged, *others = [worker.seconds.popleft() for worker in have]
            for second in others:
                merged.merge(second)
                merged.at = max(merged.at, second.at)
            self._on_second(merged)

    def _result(self, whole: LoadPlan) -> LoadResult:
        result = LoadResult(whole, workers=len(self._workers))
        for worker in self._workers:
            name = f"worker {worker.plan.worker + 1}"
            if worker.lost:
                share = (
                    f"{name} was lost after {worker.at:.0f} s ({worker.lost}): its share, "
                    f"{worker.plan.calls} of {whole.calls} calls, is missing from then on"
                )
                result.lost.append(share)
                result.add_invalid_reason(share, GeneratorCheck.WORKERS)
            for reason, check in (worker.reasons or {}).items():
                result.add_invalid_reason(f"{name}: {reason}", check)
        starts = [worker.begun for worker in self._workers if worker.begun is not None]
        result.begun_apart = max(starts) - min(starts) if starts else 0.0
        return result

    async def _dismiss(self, listeners: Sequence[asyncio.Task[None]]) -> None:
        """Have the workers hang up and exit; kill those that do not in time."""
        for worker in self._workers:
            worker.channel.close_input()
        try:
            async with asyncio.timeout(LAST_WORDS):
                await asyncio.gather(*listeners, return_exceptions=True)
        except TimeoutError:
            for worker in self._workers:
                worker.channel.kill()
            await asyncio.gather(*(worker.channel.wait_for_end() for worker in self._workers))
        for worker in self._workers:
            if worker.ready.done():
                worker.ready.exception()
