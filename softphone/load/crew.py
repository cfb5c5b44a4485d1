"""A crew: local worker processes with a common start, whose seconds are added up.

Histograms are merged, percentiles never averaged.  A worker that is lost is reported with its
share, and the run ends with what the others have; such a run is invalid.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from typing import Any

from softphone.errors import ConfigurationError, SoftphoneError
from softphone.load.plan import LoadPlan
from softphone.load.result import Result
from softphone.load.tally import Second
from softphone.load.wire import LINE, read_line, write_line

__all__ = ["Crew", "WorkerFailed"]

COMMAND = (sys.executable, "-m", "softphone.load.worker")
LAST_WORDS = 30.0
"""Seconds that a worker has to hang up and leave once the run is over."""


class WorkerFailed(SoftphoneError):
    """A worker could not begin."""


class _Hand:
    """One worker as the crew sees it."""

    def __init__(self, plan: LoadPlan, process: asyncio.subprocess.Process) -> None:
        self.plan = plan
        self.process = process
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.progress = (0, len(plan.users))
        self.begun: float | None = None
        self.seconds: list[Second] = []
        self.reasons: list[str] | None = None
        self.lost: str = ""

    @property
    def ended(self) -> bool:
        """Whether nothing more will come from it."""
        return self.reasons is not None or bool(self.lost)

    def say(self, kind: str, value: Any = None) -> None:
        """Tell it something; one that is gone hears nothing."""
        if self.process.stdin is not None and not self.process.stdin.is_closing():
            self.process.stdin.write(write_line(kind, value))


class Crew:
    """Runs the shares of a plan, each in a process of its own.

    `command` is how a worker is started.
    """

    def __init__(
        self,
        plans: Sequence[LoadPlan],
        *,
        on_second: Callable[[Second], None],
        on_progress: Callable[[int, int], None] = lambda done, whole: None,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._plans = plans
        self._on_second = on_second
        self._on_progress = on_progress
        self._command = command
        self._hands: list[_Hand] = []
        self._told = 0
        self._stopped = False

    @property
    def processes(self) -> tuple[int, ...]:
        """The process ids of the workers."""
        return tuple(hand.process.pid for hand in self._hands)

    async def run(self, whole: LoadPlan) -> Result:
        """Run to the end.

        Raises ConfigurationError, or WorkerFailed, when a worker cannot begin; nobody then does.
        """
        listeners: list[asyncio.Task[None]] = []
        try:
            for plan in self._plans:
                hand = await self._hire(plan)
                self._hands.append(hand)
                listeners.append(asyncio.ensure_future(self._listen(hand)))
            await asyncio.gather(*(hand.ready for hand in self._hands))
            if self._stopped:
                raise asyncio.CancelledError
            for hand in self._hands:
                hand.say("go")
            await asyncio.gather(*listeners)
        finally:
            await self._dismiss(listeners)
        return self._result(whole)

    def stop(self) -> None:
        """End the run now; it ends with what it has, or is canceled if it has not begun."""
        self._stopped = True
        for hand in self._hands:
            hand.say("stop")

    async def _hire(self, plan: LoadPlan) -> _Hand:
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE,
            # Ctrl-C is for the crew, which tells its workers to hang up.
            start_new_session=True,
        )
        hand = _Hand(plan, process)
        hand.say("plan", plan.plain())
        return hand

    async def _listen(self, hand: _Hand) -> None:
        """Take what a worker says until it says no more."""
        output = hand.process.stdout
        try:
            while output is not None and (line := await output.readline()):
                self._take(hand, *read_line(line))
        except ValueError as error:
            hand.lost = f"said something unknown: {error}"
            hand.process.kill()
        code = await hand.process.wait()
        if hand.reasons is None and not hand.lost:
            hand.lost = f"ended with code {code}"
        if not hand.ready.done():
            failure = WorkerFailed(f"worker {hand.plan.worker + 1} {hand.lost} before it began")
            hand.ready.set_exception(failure)
        self._tell()

    def _take(self, hand: _Hand, kind: str, value: Any) -> None:
        if kind == "progress":
            hand.progress = (value[0], value[1])
            done = [each.progress for each in self._hands]
            self._on_progress(sum(d for d, _ in done), sum(w for _, w in done))
        elif kind == "ready" and not hand.ready.done():
            hand.ready.set_result(None)
        elif kind == "begun":
            hand.begun = float(value)
        elif kind == "second":
            hand.seconds.append(Second.of(value))
            self._tell()
        elif kind == "done":
            hand.reasons = list(value)
        elif kind == "failed":
            made = ConfigurationError if value["usage"] else WorkerFailed
            hand.lost = value["message"]
            if not hand.ready.done():
                hand.ready.set_exception(made(value["message"]))

    def _tell(self) -> None:
        """Pass on every second that all workers who still speak have told of."""
        while True:
            have = [hand for hand in self._hands if len(hand.seconds) > self._told]
            waiting = any(not hand.ended for hand in self._hands if hand not in have)
            if not have or waiting:
                return
            merged = Second.of(have[0].seconds[self._told].plain())
            for hand in have[1:]:
                merged.merge(hand.seconds[self._told])
                merged.at = max(merged.at, hand.seconds[self._told].at)
            self._told += 1
            self._on_second(merged)

    def _result(self, whole: LoadPlan) -> Result:
        result = Result(whole, workers=len(self._hands))
        for hand in self._hands:
            name = f"worker {hand.plan.worker + 1}"
            if hand.lost:
                at = hand.seconds[-1].at if hand.seconds else 0.0
                share = (
                    f"{name} was lost after {at:.0f} s ({hand.lost}): its share, "
                    f"{hand.plan.calls} of {whole.calls} calls, is missing from then on"
                )
                result.lost.append(share)
                result.invalid_because.append(share)
            for reason in hand.reasons or ():
                result.invalid_because.append(f"{name}: {reason}")
        starts = [hand.begun for hand in self._hands if hand.begun is not None]
        result.begun_apart = max(starts) - min(starts) if starts else 0.0
        return result

    async def _dismiss(self, listeners: Sequence[asyncio.Task[None]]) -> None:
        """Let everybody hang up and leave; whoever does not is killed."""
        for hand in self._hands:
            if hand.process.stdin is not None:
                hand.process.stdin.close()
        try:
            async with asyncio.timeout(LAST_WORDS):
                await asyncio.gather(*listeners, return_exceptions=True)
        except TimeoutError:
            for hand in self._hands:
                if hand.process.returncode is None:
                    hand.process.kill()
            await asyncio.gather(*(hand.process.wait() for hand in self._hands))
        for hand in self._hands:
            if hand.ready.done():
                hand.ready.exception()
