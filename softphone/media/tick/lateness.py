"""How late packets left, as a histogram; and how often a log is told of it.

Bins are 0.1 ms wide up to 25 ms; what is later shares the last bin.  The largest is kept.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

BIN_MS = 0.1
BINS = 250

PAUSE = 60.0
"""Seconds between two notices."""


class LatenessHistogram:
    """Counts of packets by how many milliseconds after their phase's deadline they left."""

    def __init__(self, counts: npt.NDArray[np.int64] | None = None) -> None:
        """`counts` int64[BINS + 1] is where they are kept, by default in memory of its own."""
        self.counts = np.zeros(BINS + 1, dtype=np.int64) if counts is None else counts
        self.maximum_ms = 0.0

    def count_packets(self, late_ms: float, packets: int) -> None:
        """Count `packets` that left `late_ms` after their deadline."""
        at = min(BINS, max(0, int(late_ms / BIN_MS)))
        self.counts[at] += packets
        if packets and late_ms > self.maximum_ms:
            self.maximum_ms = late_ms

    @property
    def total(self) -> int:
        """All packets counted."""
        return int(self.counts.sum())

    def share_above(self, bound_ms: float) -> float:
        """The share of packets, 0.0 to 1.0, that left later than `bound_ms` (at most 25)."""
        total = self.total
        first = min(BINS, round(bound_ms / BIN_MS))
        return int(self.counts[first:].sum()) / total if total else 0.0

    def quantile_ms(self, share: float) -> float:
        """The lateness that `share` of the packets do not exceed, to 0.1 ms."""
        total = self.total
        if not total:
            return 0.0
        at = int(np.searchsorted(np.cumsum(self.counts), share * total))
        return self.maximum_ms if at >= BINS else (at + 1) * BIN_MS

    def clear(self) -> None:
        """Begin again."""
        self.counts[:] = 0
        self.maximum_ms = 0.0


class LatenessNotice:
    """What there is to say of timers that ran late: at once the first time, then at most once in
    `pause` seconds, the worst and the number of those that were kept back included."""

    def __init__(self, pause: float = PAUSE) -> None:
        self._pause = pause
        self._said = -math.inf
        self._worst = 0.0
        self._count = 0

    def late(self, seconds: float, *, now: float) -> str:
        """A timer ran so late; the words for it, or "" for now."""
        self._worst = max(self._worst, seconds)
        self._count += 1
        if now - self._said < self._pause:
            return ""
        words = f"{self._worst * 1e3:.0f} ms late"
        if self._count > 1:
            words = f"up to {words}, {self._count} times in {now - self._said:.0f} s"
        self._said, self._worst, self._count = now, 0.0, 0
        return words
