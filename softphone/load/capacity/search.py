"""The search for the most calls that a target holds: doubling, then bisecting, then confirming.

`CapacitySearch` is pure: it says how many calls to try next, and is told how that went.  A number
counts as held when it held `confirm` times out of as many, and one trial that was not held rules a
number out.  A trial that is invalid (the generator was the bottleneck) may have met somebody
else's work: it is made again, once.  A number that cannot be judged then is the end of what can be
known from here, and the search goes on below it: what it finds is a lower bound.
"""

from __future__ import annotations

from dataclasses import dataclass, field

ATTEMPTS = 2
"""Invalid trials of a number after which it cannot be judged."""


@dataclass(frozen=True, slots=True)
class CapacityTrial:
    """One run of the search: so many calls were tried; `held` says whether every verdict was met.

    `why` is the first verdict that was not, or why the run is invalid.
    """

    calls: int
    held: bool
    valid: bool = True
    why: str = ""
    answered: float = 0.0
    mos_p5: float | None = None
    setup_p99_ms: float | None = None
    loss_percent: float = 0.0
    interrupted: bool = False


@dataclass(slots=True)
class CapacitySearch:
    """`first` calls are tried first, never more than `most`; bisecting ends within `precision`.

    `precision` is a share of the number (0.05: within 5 %).
    """

    first: int
    most: int
    precision: float = 0.05
    confirm: int = 3
    trials: list[CapacityTrial] = field(default_factory=list)

    @property
    def next_calls(self) -> int | None:
        """How many calls to try now; None when the search is over."""
        last = self.trials[-1] if self.trials else None
        if last is not None and last.interrupted:
            return None
        if last is not None and not last.valid and self._unjudged(last.calls) < ATTEMPTS:
            return last.calls
        low, high = self._held(), self._end()
        if high is None:
            if low == 0:
                return min(self.first, self.most)
            if low < self.most:
                return min(self.most, low * 2)
        elif not self._close(low, high):
            return (low + high) // 2
        if low == 0 or self._times(low) >= self.confirm:
            return None
        return low

    def add_trial(self, trial: CapacityTrial) -> None:
        """How a trial went."""
        self.trials.append(trial)

    def _refused(self) -> int | None:
        """The fewest calls that were not held."""
        return min((t.calls for t in self.trials if t.valid and not t.held), default=None)

    def _end(self) -> int | None:
        """The fewest calls that were not held, or could not be judged."""
        bound = self.unjudged_trial
        return self._refused() if bound is None else bound.calls

    def _unjudged(self, calls: int) -> int:
        return sum(not t.valid for t in self.trials if t.calls == calls)

    def _held(self) -> int:
        """The most calls that were always held, below any that were not."""
        limit = self._end()
        numbers = (t.calls for t in self.trials if t.held and t.valid)
        return max((n for n in numbers if limit is None or n < limit), default=0)

    def _times(self, calls: int) -> int:
        return sum(t.held and t.valid for t in self.trials if t.calls == calls)

    def _close(self, low: int, high: int) -> bool:
        return high - low <= max(1, int(self.precision * high))

    @property
    def capacity(self) -> int:
        """The most calls that were held every time they were tried."""
        return self._held()

    @property
    def confirmed(self) -> bool:
        """Whether the capacity was held as often as was asked for."""
        return self.capacity > 0 and self._times(self.capacity) >= self.confirm

    @property
    def limit(self) -> int | None:
        """The fewest calls that were not held; None when the target was never full."""
        return self._refused()

    @property
    def unjudged_trial(self) -> CapacityTrial | None:
        """The trial that could not be judged and lies below all that were not held, if there is.

        The capacity is a lower bound then.
        """
        limit = self._refused()
        ends = (
            trial
            for trial in self.trials
            if not trial.valid
            and self._unjudged(trial.calls) >= ATTEMPTS
            and (limit is None or trial.calls < limit)
        )
        return min(ends, key=lambda trial: trial.calls, default=None)

    @property
    def interrupted(self) -> bool:
        """Whether somebody ended it early."""
        return any(trial.interrupted for trial in self.trials)

    @property
    def confidence(self) -> float:
        """How sure we can be that at least half of all runs at the capacity hold, 0.0 to 1.0.

        If no more than half of them did, n trials would all hold with a chance of 0.5 ** n.
        """
        times = self._times(self.capacity)
        return 1.0 - 0.5**times if times else 0.0

    def summary(self) -> dict[str, object]:
        """What the search came to, for scripts."""
        return {
            "calls": self.capacity,
            "confirmed": self.confirmed,
            "confidence": round(self.confidence, 3),
            "lower_bound": self.limit is None or self.unjudged_trial is not None,
            "not_held": self.limit,
            "trials": [
                {"calls": t.calls, "held": t.held, "valid": t.valid, "why": t.why}
                for t in self.trials
            ],
        }

    def _nothing(self) -> str:
        """What is said where not one trial was held."""
        judged = (trial for trial in self.trials if trial.valid)
        least = min(judged, key=lambda trial: trial.calls, default=None)
        if least is None:
            return "nothing was tried"
        word = "call is" if least.calls == 1 else "calls are"
        return f"not even {least.calls} {word} held: {least.why}"

    def outcome_text(self) -> str:
        """The outcome in words."""
        times = self._times(self.capacity)
        invalid = self.unjudged_trial
        if self.interrupted:
            return f"interrupted: {self.capacity} calls were held {times} times until then"
        if invalid is not None and not self.capacity:
            return f"nothing is known: {_unjudged(invalid)}"
        if invalid is not None:
            return (
                f"at least {self.capacity} calls, held {times} times out of {times}; "
                f"{_unjudged(invalid)}"
            )
        if not self.capacity:
            return self._nothing()
        tail = f"held {times} times out of {times} ({self.confidence:.1%} sure that most runs hold)"
        if self.limit is None:
            return f"at least {self.capacity} calls, {tail}; more were not tried"
        why = next(t.why for t in self.trials if t.calls == self.limit and t.valid and not t.held)
        return f"{self.capacity} calls, {tail}; {self.limit} are not: {why}"


def _unjudged(trial: CapacityTrial) -> str:
    """A number of calls that nothing is known about, and why."""
    word = "call" if trial.calls == 1 else "calls"
    return f"{trial.calls} {word} could not be judged, since the run was invalid: {trial.why}"
