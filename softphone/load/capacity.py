"""The search for the most calls that a target holds: doubling, then bisecting, then confirming.

`CapacitySearch` is pure: it says how many calls to try next, and is told how that went.  A number
counts as held when it held `confirm` times out of as many; one trial that was not held rules a
number out, and an invalid trial (the generator was the bottleneck) ends the search, since what
lies above it cannot be known from here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["CapacitySearch", "Trial"]


@dataclass(frozen=True, slots=True)
class Trial:
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


@dataclass(slots=True)
class CapacitySearch:
    """`first` calls are tried first, never more than `most`; bisecting ends within `precision`.

    `precision` is a share of the number (0.05: within 5 %).
    """

    first: int
    most: int
    precision: float = 0.05
    confirm: int = 3
    trials: list[Trial] = field(default_factory=list)

    @property
    def next(self) -> int | None:
        """How many calls to try now; None when the search is over."""
        if any(not trial.valid for trial in self.trials):
            return None
        low, high = self._held(), self._refused()
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

    def tell(self, trial: Trial) -> None:
        """How a trial went."""
        self.trials.append(trial)

    def _refused(self) -> int | None:
        """The fewest calls that were not held."""
        return min((t.calls for t in self.trials if t.valid and not t.held), default=None)

    def _held(self) -> int:
        """The most calls that were always held, below any that were not."""
        limit = self._refused()
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
    def confidence(self) -> float:
        """How sure we can be that at least half of all runs at the capacity hold, 0.0 to 1.0.

        If no more than half of them did, n trials would all hold with a chance of 0.5 ** n.
        """
        times = self._times(self.capacity)
        return 1.0 - 0.5**times if times else 0.0

    def sentence(self) -> str:
        """The outcome in words."""
        times = self._times(self.capacity)
        invalid = next((t for t in self.trials if not t.valid), None)
        if invalid is not None and not self.capacity:
            return (
                f"nothing is known: {invalid.calls} calls could not be judged, since the "
                f"generator was the bottleneck: {invalid.why}"
            )
        if invalid is not None:
            return (
                f"at least {self.capacity} calls; {invalid.calls} could not be judged, since the "
                f"generator was the bottleneck: {invalid.why}"
            )
        if not self.capacity:
            return f"not even {self.trials[0].calls if self.trials else self.first} calls are held"
        tail = f"held {times} times out of {times} ({self.confidence:.1%} sure that most runs hold)"
        if self.limit is None:
            return f"at least {self.capacity} calls, {tail}; more were not tried"
        why = next(t.why for t in self.trials if t.calls == self.limit and not t.held)
        return f"{self.capacity} calls, {tail}; {self.limit} are not: {why}"
