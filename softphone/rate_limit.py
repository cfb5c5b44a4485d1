"""A token bucket: limits the rate and the burst of new requests."""

from __future__ import annotations


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
