"""A token bucket, which limits rate and burst, and a total over a sliding window of time."""

from __future__ import annotations

from collections import deque


class TokenBucket:
    """`rate` tokens a second, at most `burst` in stock; a rate of 0 admits everything."""

    __slots__ = ("burst", "rate", "tokens", "updated")

    def __init__(self, *, rate: float, burst: float) -> None:
        self.rate = rate
        self.burst = burst
        self.tokens = burst
        self.updated: float | None = None

    def admit(self, *, now: float) -> bool:
        """Take one token; False if there is none."""
        if self.seconds_to_token(now=now) > 0:
            return False
        self.tokens -= 1
        return True

    def seconds_to_token(self, *, now: float) -> float:
        """Seconds until the next token; 0 if there is one now."""
        if self.rate <= 0:
            return 0.0
        if self.updated is not None and now > self.updated:
            self.tokens = min(self.burst, self.tokens + (now - self.updated) * self.rate)
        self.updated = now
        return 0.0 if self.tokens >= 1 else (1.0 - self.tokens) / self.rate


class SlidingTotal:
    """The total of what was added in the last `seconds`, in constant memory.

    Each amount counts for at least `seconds`, and for up to a part of `parts` longer: unlike a
    bucket, no time of that length ever takes more than a limit on the total.
    """

    __slots__ = ("_added", "_parts", "_width")

    def __init__(self, *, seconds: float, parts: int = 60) -> None:
        self._width = seconds / parts
        self._parts = parts
        self._added: deque[tuple[int, float]] = deque()

    def add(self, amount: float, *, now: float) -> None:
        """Add an amount."""
        place = int(now // self._width)
        if self._added and self._added[-1][0] >= place:
            place, before = self._added.pop()
            amount += before
        self._added.append((place, amount))

    def total(self, *, now: float) -> float:
        """Return the total at a time."""
        oldest = int(now // self._width) - self._parts
        while self._added and self._added[0][0] < oldest:
            self._added.popleft()
        return sum(amount for _, amount in self._added)
