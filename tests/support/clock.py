"""Virtual time and seeded randomness for tests."""

from __future__ import annotations

import random


class Clock:
    """Time that moves only when told to."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def advance(self, to: float) -> None:
        """Move forward to an absolute time; never back."""
        self.now = max(self.now, to)


def seeded_entropy(seed: int):
    """An `Entropy` whose bytes depend on the seed alone."""
    source = random.Random(seed)
    return source.randbytes
