"""A virtual link with delay, loss, reordering and duplication, seeded."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass


@dataclass
class LinkQuality:
    """`delay` and `jitter` in seconds, the rest are probabilities.

    A stream keeps its order and loses nothing whatever is set here; its pieces may still be cut.
    """

    delay: float = 0.010
    jitter: float = 0.0
    loss: float = 0.0
    duplicate: float = 0.0


class Link:
    """One direction of a link: what is put in comes out later, or not at all."""

    def __init__(self, quality: LinkQuality, *, reliable: bool, seed: int) -> None:
        self.quality = quality
        self.reliable = reliable
        self.random = random.Random(seed)
        self.up = True
        self._in_flight: list[tuple[float, int, bytes]] = []
        self._count = 0
        self._last = 0.0

    def put(self, data: bytes, *, now: float) -> None:
        """Send bytes."""
        if not self.up:
            return
        if self.reliable:
            self._last = max(self._last, now + self.quality.delay)
            self._schedule(data, self._last)
            return
        copies = 2 if self.random.random() < self.quality.duplicate else 1
        for _ in range(copies):
            if self.random.random() >= self.quality.loss:
                delay = self.quality.delay + self.random.random() * self.quality.jitter
                self._schedule(data, now + delay)

    def _schedule(self, data: bytes, at: float) -> None:
        self._count += 1
        heapq.heappush(self._in_flight, (at, self._count, data))

    def next(self) -> float | None:
        """When the next bytes arrive, or None."""
        return self._in_flight[0][0] if self._in_flight else None

    def take(self, *, now: float) -> bytes | None:
        """The next bytes that have arrived, or None."""
        if self._in_flight and self._in_flight[0][0] <= now:
            return heapq.heappop(self._in_flight)[2]
        return None
