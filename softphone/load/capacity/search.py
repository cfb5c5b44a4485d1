"""The search for the most calls that a target holds: doubling, then bisecting, then confirming.

`CapacitySearch` is pure: it names the next number of calls and takes the outcome.  A number is
confirmed when `confirm` trials out of as many held; one trial that did not hold rules it out.  An
invalid trial (the generator was the bottleneck) is repeated once, since other work on the machine
may have caused it.  When the repeat is invalid too, the search continues below that number, and
the capacity it finds is a lower bound.

With `repeat`, so many trials more are made about a capacity that was confirmed and a limit that was
reached, up and down: the next has more calls after one that held, fewer after one that did not, by
twice the precision.  They leave the capacity as it was found, and give its interval.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field

from softphone.load.capacity.interval import CapacityInterval, capacity_interval

ATTEMPTS = 2
"""Invalid trials after which a number of calls is given up as impossible to judge."""


@dataclass(frozen=True, slots=True)
class CapacityTrial:
    """One trial of the search, with `calls` calls; `held` says whether every expectation was met.

    `why` is the first expectation that was not met, or the reason why the run is invalid.
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
    """The search: starts with `first` calls, tries at most `most`, and ends within `precision`.

    `precision` is a share of the number (0.05: within 5 %).
    """

    first: int
    most: int
    precision: float = 0.05
    confirm: int = 3
    repeat: int = 0
    trials: list[CapacityTrial] = field(default_factory=list)
    repeats: list[CapacityTrial] = field(default_factory=list)

    @property
    def next_calls(self) -> int | None:
        """The number of calls to try now; None when the search is over."""
        if self.interrupted:
            return None
        found = self._next_of_search()
        return self._next_repeat() if found is None else found

    def _next_of_search(self) -> int | None:
        last = self.trials[-1] if self.trials else None
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

    def _next_repeat(self) -> int | None:
        """The next number about the capacity; None when there are enough, or none has a sense."""
        limit, judged = self.limit, [trial for trial in self.repeats if trial.valid]
        if not self.confirmed or limit is None or self.unjudged_trial is not None:
            return None
        if len(judged) >= self.repeat or len(self.repeats) >= ATTEMPTS * self.repeat:
            return None
        if not judged:
            return round(math.sqrt(self.capacity * limit))
        last, factor = judged[-1], 1.0 + 2.0 * self.precision
        if last.held:
            return min(self.most, max(last.calls + 1, round(last.calls * factor)))
        return max(1, min(last.calls - 1, round(last.calls / factor)))

    def add_trial(self, trial: CapacityTrial) -> None:
        """Record the outcome of a trial."""
        repeated = self.repeat and self._next_of_search() is None
        (self.repeats if repeated else self.trials).append(trial)

    @property
    def all_trials(self) -> list[CapacityTrial]:
        """The trials of the search, then the repeated ones."""
        return [*self.trials, *self.repeats]

    @property
    def interval(self) -> CapacityInterval | None:
        """The capacity by all trials, with its interval; None without repeated ones."""
        if not any(trial.valid for trial in self.repeats):
            return None
        return capacity_interval([(t.calls, t.held) for t in self.all_trials if t.valid])

    def _refused(self) -> int | None:
        """The fewest calls that did not hold; None when every valid trial held."""
        return min((t.calls for t in self.trials if t.valid and not t.held), default=None)

    def _end(self) -> int | None:
        """The fewest calls that did not hold or could not be judged; None when there are none."""
        bound = self.unjudged_trial
        return self._refused() if bound is None else bound.calls

    def _unjudged(self, calls: int) -> int:
        return sum(not t.valid for t in self.trials if t.calls == calls)

    def _held(self) -> int:
        """The most calls that held, below any that did not or could not be judged; 0 for none."""
        limit = self._end()
        numbers = (t.calls for t in self.trials if t.held and t.valid)
        return max((n for n in numbers if limit is None or n < limit), default=0)

    def _times(self, calls: int) -> int:
        return sum(t.held and t.valid for t in self.trials if t.calls == calls)

    def _close(self, low: int, high: int) -> bool:
        return high - low <= max(1, int(self.precision * high))

    @property
    def confirmations(self) -> int:
        """How often the number of the last trial has held so far; 0 when it does not hold."""
        last = self.trials[-1] if self.trials else None
        return self._times(last.calls) if last is not None and last.held else 0

    @property
    def capacity(self) -> int:
        """The most calls that held in every trial; 0 when none did."""
        return self._held()

    @property
    def confirmed(self) -> bool:
        """Whether the capacity held in at least `confirm` trials."""
        return self.capacity > 0 and self._times(self.capacity) >= self.confirm

    @property
    def limit(self) -> int | None:
        """The fewest calls that did not hold; None when the target never reached its limit."""
        return self._refused()

    @property
    def unjudged_trial(self) -> CapacityTrial | None:
        """The trial of the fewest calls that could not be judged, below all that did not hold.

        None when there is no such trial.  When there is one, the capacity is a lower bound.
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
        """Whether a trial was interrupted, which ends the search."""
        return any(trial.interrupted for trial in self.all_trials)

    @property
    def confidence(self) -> float:
        """The confidence, 0.0 to 1.0, that more than half of all runs at the capacity hold.

        If at most half held, n trials would all hold with a probability of at most 0.5 ** n.
        """
        times = self._times(self.capacity)
        return 1.0 - 0.5**times if times else 0.0

    def summary(self) -> dict[str, object]:
        """The outcome as a JSON object for scripts; the last `repeats` trials are repeated ones."""
        interval = self.interval
        return {
            "calls": self.capacity,
            "confirmed": self.confirmed,
            "confidence": round(self.confidence, 3),
            "lower_bound": self.limit is None or self.unjudged_trial is not None,
            "not_held": self.limit,
            "interval": None if interval is None else asdict(interval),
            "repeats": len(self.repeats),
            "trials": [
                {"calls": t.calls, "held": t.held, "valid": t.valid, "why": t.why}
                for t in self.all_trials
            ],
        }

    def interval_text(self) -> str:
        """What is known of the interval of the capacity, in words; "" without a capacity."""
        if not self.capacity:
            return ""
        interval = self.interval
        if interval is not None:
            return interval.text()
        return "its interval is unknown: that takes trials repeated about a limit"

    def whole_text(self) -> str:
        """The outcome and the interval, in words."""
        return "; ".join(part for part in (self.outcome_text(), self.interval_text()) if part)

    def _nothing(self) -> str:
        """The outcome text when no trial held."""
        refused = (trial for trial in self.trials if trial.valid and not trial.held)
        least = min(refused, key=lambda trial: trial.calls, default=None)
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
    """A sentence with the number of calls that could not be judged, and why."""
    word = "call" if trial.calls == 1 else "calls"
    return f"{trial.calls} {word} could not be judged, since the run was invalid: {trial.why}"
