"""A histogram of the lateness of sent packets, and a rate limit for the warnings about it."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from typing import Any, Final

import numpy as np
import numpy.typing as npt


def _starts() -> list[float]:
    starts = [0.0]
    for width, end in ((0.1, 25.0), (1.0, 250.0), (10.0, 2500.0), (100.0, 25000.0)):
        first = starts[-1]
        starts += [round(first + width * n, 1) for n in range(1, round((end - first) / width) + 1)]
    return starts


BIN_STARTS_MS: Final = _starts()
"""The least lateness of each bin: they are 0.1 ms wide up to 25 ms, then 1 ms up to 250 ms, 10 ms
up to 2.5 s and 100 ms up to 25 s; the last has no end."""
BINS: Final = len(BIN_STARTS_MS)

PAUSE = 60.0
"""Minimum seconds between two notices."""


class LatenessHistogram:
    """The counts of packets by lateness: the time from their phase's deadline, in ms.

    A packet counts when it is sent, or when its frame is skipped: it is as late then as the skip.
    Bins begin at `BIN_STARTS_MS`.  `maximum_ms` is the greatest lateness.
    """

    def __init__(self, counts: npt.NDArray[np.int64] | None = None) -> None:
        """Use `counts` int64[BINS] as memory, by default a new array."""
        self.counts = np.zeros(BINS, dtype=np.int64) if counts is None else counts
        self.maximum_ms = 0.0

    def count_packets(self, late_ms: float, packets: int) -> None:
        """Count `packets` sent `late_ms` after their deadline."""
        self.counts[max(0, bisect_right(BIN_STARTS_MS, late_ms) - 1)] += packets
        if packets and late_ms > self.maximum_ms:
            self.maximum_ms = late_ms

    def count_skipped(
        self, late_ms: npt.NDArray[np.floating[Any]], packets: npt.NDArray[np.int64]
    ) -> None:
        """Count the `packets` int64[n] of n skipped frames, `late_ms` float[n] above 0 when
        they were skipped."""
        bins = np.searchsorted(BIN_STARTS_MS, late_ms, side="right") - 1
        np.add.at(self.counts, bins, packets)
        if packets.any():
            self.maximum_ms = max(self.maximum_ms, float(late_ms[packets > 0].max()))

    @property
    def total(self) -> int:
        """The number of packets counted."""
        return int(self.counts.sum())

    def share_above(self, bound_ms: float) -> float:
        """Return the share of packets, 0.0 to 1.0, later than `bound_ms`, the start of a bin."""
        total = self.total
        first = bisect_left(BIN_STARTS_MS, bound_ms)
        return int(self.counts[first:].sum()) / total if total else 0.0

    def quantile_ms(self, share: float) -> float:
        """Return the lateness in ms that `share` of the packets do not exceed, by its bin's end."""
        total = self.total
        if not total:
            return 0.0
        after = int(np.searchsorted(np.cumsum(self.counts), share * total)) + 1
        end = math.inf if after == BINS else BIN_STARTS_MS[after]
        return min(end, self.maximum_ms or end)

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
