"""Stops a run, or changes its rate and number of calls, while it goes on."""

from __future__ import annotations

import math
from typing import Protocol

from softphone.errors import ConfigurationError
from softphone.load.plan import LoadPlan


class ControlledRun(Protocol):
    """What runs a plan, alone or by workers."""

    def stop_run(self) -> None:
        """End the run now; what was counted so far is its result."""

    def change_load(self, *, rate: float | None, calls: int | None) -> None:
        """Change the rate, and the most calls at once, of all workers together."""


class RunControl:
    """Stops or changes a run; given to `run_plan`, which attaches the run.

    A change is checked against `least_calls`, `most_calls` and `most_rate`, so that a typing error
    overloads no server; a search (`searching`) can only be stopped.  `changes` says what was
    changed, and when; the result has it, too.
    """

    def __init__(self, plan: LoadPlan, workers: int = 1, *, searching: bool = False) -> None:
        self.searching = searching
        self.stopped = False
        self.begin_run(plan, workers)

    def begin_run(self, plan: LoadPlan, workers: int) -> None:
        """Begin to control a run, the first or the next one of a search."""
        self.plan = plan
        self.rate = plan.rate if plan.arrival in ("constant", "poisson") else None
        self.calls = plan.calls
        self.least_calls = workers
        self.most_rate = plan.most_rate
        self.most_calls = sum(share.most_calls for share in plan.shares(workers))
        self.changes: list[str] = []
        self._run: ControlledRun | None = None
        self._at = 0.0

    @property
    def adjustable(self) -> bool:
        """Whether rate and calls can be changed.

        A search sets them itself, and where we wait for calls, the callers do; users who are kept
        have all begun.
        """
        if self.searching or (self.plan.workload is not None and self.plan.workload.kept):
            return False
        return self.plan.workload is not None or self.plan.sipp is None or bool(self.plan.target)

    def attach(self, run: ControlledRun | None) -> None:
        """Note what runs the plan; None after its end."""
        self._run = run

    def note_time(self, at: float) -> None:
        """Note that the run is `at` seconds old."""
        self._at = at

    def stop(self) -> None:
        """End the run early; it is judged by what was counted.  Raises ConfigurationError."""
        run = self._running()
        self.stopped = True
        self.changes.append(f"stopped at {self._at:.0f} s")
        run.stop_run()

    def change(self, *, rate: float | None = None, calls: int | None = None) -> None:
        """Change what is not None.  Raises ConfigurationError, and then changes nothing."""
        run = self._running()
        if self.searching:
            raise ConfigurationError("this is a search, which changes the load itself")
        if not self.adjustable:
            raise ConfigurationError(
                "this run waits for calls: who calls sets their rate"
                if self.plan.workload is None
                else "this run keeps its users to its end: there is nothing to change"
            )
        if rate is not None and not (math.isfinite(rate) and 0 < rate <= self.most_rate):
            raise ConfigurationError(f"a rate of {rate:g}: expected above 0, {self._limits()}")
        if calls is not None and not self.least_calls <= calls <= self.most_calls:
            raise ConfigurationError(
                f"{calls} calls: expected {self.least_calls} or more, {self._limits()}"
            )
        rate = None if rate == self.rate else rate
        calls = None if calls == self.calls else calls
        if rate is None and calls is None:
            return
        run.change_load(rate=rate, calls=calls)
        parts = []
        if rate is not None:
            self.rate = rate
            parts.append(f"{rate:g} calls a second")
        if calls is not None:
            self.calls = calls
            parts.append(f"{calls} calls at once")
        self.changes.append(f"{' and '.join(parts)} from {self._at:.0f} s on")

    def _running(self) -> ControlledRun:
        if self._run is None or not self._at or self.stopped:
            raise ConfigurationError("the run has not begun, or is over")
        return self._run

    def _limits(self) -> str:
        return f"and up to {self.most_rate:g} a second and {self.most_calls:,} at once in this run"
