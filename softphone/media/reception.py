"""Reception statistics of a whole bank: sequence numbers, loss and jitter, one row a stream.

RFC 3550 sections 6.4.1, A.1 (extended sequence numbers), A.3 (loss) and A.8 (jitter), vectorized;
`softphone.rtp.sequence` is the same for one source.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["ReceptionBank", "ReceptionReport"]


@dataclass(frozen=True, slots=True)
class ReceptionReport:
    """The fields of a report block for each of k rows (RFC 3550 section 6.4.1).

    `ssrc` uint32[k]; `fraction_lost` int64[k], 0 to 255; `cumulative_lost` int64[k], clamped to 24
    bits signed; `highest_sequence` int64[k], the 32-bit extended number; `jitter` int64[k] in
    timestamp units; `valid` bool[k]: anything was received at all.
    """

    valid: NDArray[np.bool_]
    ssrc: NDArray[np.uint32]
    fraction_lost: NDArray[np.int64]
    cumulative_lost: NDArray[np.int64]
    highest_sequence: NDArray[np.int64]
    jitter: NDArray[np.int64]


class ReceptionBank:
    """Reception state of `capacity` rows.

    Read-only to others: `received` int64[capacity], `ssrc` uint32[capacity], `jitter`
    float64[capacity] in timestamp units.
    """

    def __init__(self, capacity: int) -> None:
        raise NotImplementedError

    def open(self, row: int, *, clock_rate_hz: int) -> None:
        """Start a row afresh."""
        raise NotImplementedError

    def update(
        self,
        row: NDArray[np.int32],
        sequence: NDArray[np.uint16],
        timestamp: NDArray[np.uint32],
        ssrc: NDArray[np.uint32],
        arrival: NDArray[np.float64],
    ) -> None:
        """Take the packets of a batch, n of them, in order of arrival; a new SSRC starts afresh."""
        raise NotImplementedError

    def cumulative_lost(self, rows: slice | NDArray[np.int32]) -> NDArray[np.int64]:
        """Packets expected minus received, int64 a row; negative with duplicates."""
        raise NotImplementedError

    def report(self, rows: NDArray[np.int32]) -> ReceptionReport:
        """The report blocks of rows; begins their next reporting interval (A.3)."""
        raise NotImplementedError
