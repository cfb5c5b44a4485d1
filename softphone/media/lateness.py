"""How late packets left, as a histogram.

Bins are 0.1 ms wide up to 25 ms; what is later shares the last bin.  The largest is kept.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["BINS", "LatenessHistogram"]

BIN_MS = 0.1
BINS = 250


class LatenessHistogram:
    """Counts of packets by how many milliseconds after their phase's deadline they left."""

    def __init__(self, counts: npt.NDArray[np.int64] | None = None) -> None:
        """`counts` int64[BINS + 1] is where they are kept, by default in memory of its own."""
        self.counts = np.zeros(BINS + 1, dtype=np.int64) if counts is None else counts
        self.maximum_ms = 0.0

    def add(self, late_ms: float, packets: int) -> None:
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
