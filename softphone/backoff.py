"""Exponential back-off: the delay after a number of consecutive failures."""

from __future__ import annotations

from dataclasses import dataclass

from softphone.sans_io import Entropy, random_share

_MOST_STEPS = 32
"""The largest exponent, so that no float overflows."""


@dataclass(frozen=True, slots=True)
class ExponentialBackoff:
    """A delay of `first` seconds, times `growth` for each failure, at most `longest`."""

    first: float
    longest: float
    growth: float = 2.0

    def delay(self, failures: int) -> float:
        """Seconds to wait after this number of consecutive failures."""
        return min(self.longest, self.first * self.growth ** min(failures, _MOST_STEPS))

    def jittered_delay(self, failures: int, *, entropy: Entropy) -> float:
        """A random delay from the upper half of `delay`, so that clients do not retry in step."""
        return self.delay(failures) * (0.5 + 0.5 * random_share(entropy))
