"""A crew: workers with a common start, on this machine or elsewhere, whose seconds are added up.

Histograms are merged, percentiles never averaged.  A worker that is lost is reported with its
share, and the run ends with what the others have; such a run is invalid.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from softphone.errors import ConfigurationError, SoftphoneError
from softphone.load.distribute.worker_channel import LocalLine, WorkerLine, read_line, write_line
from softphone.load.measure.tally import Second
from softphone.load.plan import LoadPlan
from softphone.load.result import Result

__all__ = ["Crew", "WorkerFailed"]

HEADSTART = 0.2
"""Seconds between `go` and the common start: the word must have reached everybody."""
LAST_WORDS = 30.0
"""Seconds that a worker has to hang up and leave once the run is over."""


class WorkerFailed(SoftphoneError):
    """A worker could not begin."""


class _Hand:
    """One worker as the crew sees it."""

    def __init__(self, plan: LoadPlan, line: WorkerLine) -> None:
        self.plan = plan
        self.line = line
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.progress = (0, len(plan.users))
        self.begun: float | None = None
        self.seconds: deque[Second] = deque()
        self.at = 0.0
        self.reasons: list[str] | None = None
        self.lost: str = ""

    @property
    def ended(self) -> bool:
        """Whether nothing more will come from it."""
        return self.reasons is not None or bool(self.lost)

    def say(self, kind: str, value: Any = None) -> None:
        """Tell it something; one that is gone hears nothing."""
        self.line.say(write_line(kind, value))


class Crew:
    """Runs the shares of a plan, each by a worker of its own; `hire` finds one."""

    def __init__(
        self,
        plans: Sequence[LoadPlan],
        *,
        on_second: Callable[[Second], None],
        on_progress: Callable[[int, int], None] = lambda done, whole: None,
        hire: Callable[[], Awaitable[WorkerLine]] = LocalLine.hire,
    ) -> None:
        self._plans = plans
        self._on_second = on_second
        self._on_progress = on_progress
        self._find = hire
        self._hands: list[_Hand] = []
        self._stopped = False

    @property
    def lines(self) -> tuple[WorkerLine, ...]:
        """The workers."""
        return tuple(hand.line for hand in self._hands)

    async def run(self, whole: LoadPlan) -> Result:
        """Run to the end.

        Raises ConfigurationError, or WorkerFailed, when a worker cannot begin; nobody then does.
        """
        listeners: list[asyncio.Task[None]] = []
        try:
            for plan in self._plans:
                self._hands.append(hand := _Hand(plan, await self._find()))
                listeners.append(asyncio.ensure_future(self._listen(hand)))
            self._brief(whole)
            await asyncio.gather(*(hand.ready for hand in self._hands))
            if self._stopped:
                raise asyncio.CancelledError
            begin = time.time() + HEADSTART
            for hand in self._hands:
                # Each goes by its own clock.
                hand.say("go", begin + hand.line.offset)
            await asyncio.gather(*listeners)
        finally:
            await self._dismiss(listeners)
        return self._result(whole)

    def stop(self) -> None:
        """End the run now; it ends with what it has, or is canceled if it has not begun."""
        self._stopped = True
        for hand in self._hands:
            hand.say("stop")

    def _brief(self, whole: LoadPlan) -> None:
        """Tell everybody its share, now that it is known who shares a machine with whom."""
        nodes = [hand.line.node for hand in self._hands]
        if any(nodes):
            for hand, plan in zip(self._hands, whole.shares(len(nodes), nodes), strict=True):
                hand.plan = plan
        for hand in self._hands:
            hand.say("plan", hand.plan.plain())

    async def _listen(self, hand: _Hand) -> None:
        """Take what a worker says until it says no more."""
        try:
            while data := await hand.line.hear():
                self._take(hand, *read_line(data))
        except ValueError as error:
            hand.lost = f"said something unknown: {error}"
            hand.line.kill()
        ended = await hand.line.ended()
        if hand.reasons is None and not hand.lost:
            hand.lost = ended
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
            hand.begun = float(value) - hand.line.offset
        elif kind == "second":
            hand.seconds.append(Second.of(value))
            hand.at = hand.seconds[-1].at
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
            have = [hand for hand in self._hands if hand.seconds]
            waiting = any(not hand.ended for hand in self._hands if hand not in have)
            if not have or waiting:
                return
            merged, *others = [hand.seconds.popleft() for hand in have]
            for second in others:
                merged.merge(second)
                merged.at = max(merged.at, second.at)
            self._on_second(merged)

    def _result(self, whole: LoadPlan) -> Result:
        result = Result(whole, workers=len(self._hands))
        for hand in self._hands:
            name = f"worker {hand.plan.worker + 1}"
            if hand.lost:
                share = (
                    f"{name} was lost after {hand.at:.0f} s ({hand.lost}): its share, "
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
            hand.line.dismiss()
        try:
            async with asyncio.timeout(LAST_WORDS):
                await asyncio.gather(*listeners, return_exceptions=True)
        except TimeoutError:
            for hand in self._hands:
                hand.line.kill()
            await asyncio.gather(*(hand.line.ended() for hand in self._hands))
        for hand in self._hands:
            if hand.ready.done():
                hand.ready.exception()
