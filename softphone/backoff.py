"""Exponential back-off: how long to wait after failures in a row."""

from __future__ import annotations

from dataclasses import dataclass

from softphone.sans_io import Entropy, random_share

_MOST_STEPS = 32
"""The exponent grows no further, so that no float overflows."""


@dataclass(frozen=True, slots=True)
class ExponentialBackoff:
    """`first` seconds after none, then `growth` times as long each time, `longest` at most."""

    first: float
    longest: float
    growth: float = 2.0

    def delay(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row."""
        return min(self.longest, self.first * self.growth ** min(failures, _MOST_STEPS))

    def jittered_delay(self, failures: int, *, entropy: Entropy) -> float:
        """The same, drawn from its upper half, so that those who failed together spread out."""
        return self.delay(failures) * (0.5 + 0.5 * random_share(entropy))
