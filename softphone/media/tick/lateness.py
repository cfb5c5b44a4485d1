"""A histogram of the lateness of sent packets, and a rate limit for the warnings about it."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

BIN_MS = 0.1
BINS = 250

PAUSE = 60.0
"""Minimum seconds between two notices."""


class LatenessHistogram:
    """The counts of sent packets by lateness: the time from their phase's deadline, in ms.

    Bins are 0.1 ms wide up to 25 ms; the last bin holds all later packets.  `maximum_ms` is the
    greatest lateness.
    """

    def __init__(self, counts: npt.NDArray[np.int64] | None = None) -> None:
        """Use `counts` int64[BINS + 1] as memory, by default a new array."""
        self.counts = np.zeros(BINS + 1, dtype=np.int64) if counts is None else counts
        self.maximum_ms = 0.0

    def count_packets(self, late_ms: float, packets: int) -> None:
        """Count `packets` sent `late_ms` after their deadline."""
        at = min(BINS, max(0, int(late_ms / BIN_MS)))
        self.counts[at] += packets
        if packets and late_ms > self.maximum_ms:
            self.maximum_ms = late_ms

    @property
    def total(self) -> int:
        """The number of packets counted."""
        return int(self.counts.sum())

    def share_above(self, bound_ms: float) -> float:
        """Return the share of packets, 0.0 to 1.0, sent later than `bound_ms` (at most 25)."""
        total = self.total
        first = min(BINS, round(bound_ms / BIN_MS))
        return int(self.counts[first:].sum()) / total if total else 0.0

    def quantile_ms(self, share: float) -> float:
        """Return the lateness in ms that `share` of the packets do not exceed, to 0.1 ms."""
        total = self.total
        if not total:
            return 0.0
        at = int(np.searchsorted(np.cumsum(self.counts), share * total))
        return self.maximum_ms if at >= BINS else (at + 1) * BIN_MS

    def clear(self) -> None:
        """Reset all counts and the maximum."""
        self.counts[:] = 0
        self.maximum_ms = 0.0


class LatenessNotice:
    """A rate limit for warnings about late timers: the first at once, then at most one in `pause`
    seconds, with the worst lateness and the number of timers since the last."""

    def __init__(self, pause: float = PAUSE) -> None:
        self._pause = pause
        self._said = -math.inf
        self._worst = 0.0
        self._count = 0

    def late(self, seconds: float, *, now: float) -> str:
        """Note a timer that ran `seconds` late; return the text to log, or "" for nothing yet."""
        self._worst = max(self._worst, seconds)
        self._count += 1
        if now - self._said < self._pause:
            return ""
        words = f"{self._worst * 1e3:.0f} ms late"
        if self._count > 1:
            words = f"up to {words}, {self._count} times in {now - self._said:.0f} s"
        self._said, self._worst, self._count = now, 0.0, 0
        return words
