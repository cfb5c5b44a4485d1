"""A worker's statistics in shared memory, which the application's process reads at any time.

There is no lock: a snapshot may be read while it is written, so two of its numbers may be one
frame apart.  A phase with few streams is written every frame, others every `INTERVAL` frames.
"""

from __future__ import annotations

import mmap
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from softphone.media.bank import StreamBank
from softphone.media.quality import COLUMNS, fill_numbers, fill_reports
from softphone.media.tick import BINS

FEW = 64
"""The most streams of a phase whose statistics are written every frame."""

INTERVAL = 10
"""Frames between two snapshots of a phase with many streams."""

REPORTS = 16
"""Streams of such a phase whose received reports are copied in one snapshot.

They change every few seconds and are the most expensive part.
"""


class EngineCounter(IntEnum):
    """The indices of the counters of a whole engine."""

    JUMPS = 0
    FRAMES_LATE = 1
    OVERFLOWS = 2
    UNCLAIMED = 3
    LATEST_MICROSECONDS = 4
    PROCESSOR_MICROSECONDS = 5
    PACKETS_SKIPPED = 6


class SharedStatistics:
    """The statistics of a worker's streams over one block of shared memory.

    `counters` is int64[len(EngineCounter)], `lateness` int64[BINS] and `rows`
    float64[capacity, COLUMNS].  Raises ValueError for a block that is too small.
    """

    def __init__(self, memory: mmap.mmap, capacity: int) -> None:
        words = np.frombuffer(memory, dtype=np.int64, count=self.octets(capacity) // 8)
        self.counters: npt.NDArray[np.int64] = words[: len(EngineCounter)]
        self.lateness: npt.NDArray[np.int64] = words[len(EngineCounter) : len(EngineCounter) + BINS]
        rest = words[len(EngineCounter) + BINS :]
        self.rows: npt.NDArray[np.float64] = rest.view(np.float64).reshape(capacity, COLUMNS)

    @staticmethod
    def octets(capacity: int) -> int:
        """Return the size of the block for `capacity` rows."""
        return 8 * (len(EngineCounter) + BINS + capacity * COLUMNS)


def write_statistics(shared: SharedStatistics, bank: StreamBank, phase: int, frame: int) -> None:
    """Write the statistics of `phase` in `frame`, if they are due."""
    few = bank.used(phase) <= FEW
    if not few and frame % INTERVAL:
        return
    span = bank.span(phase)
    active = (bank.receiver.active[span].nonzero()[0] + span.start).tolist()
    if not active:
        return
    rows = slice(active[0], active[-1] + 1)
    fill_numbers(bank, rows, shared.rows[rows])
    count = len(active) if few else min(len(active), REPORTS)
    first = frame // INTERVAL * count
    for at in range(first, first + count):
        row = active[at % len(active)]
        stream = bank.streams[row]
        if stream is not None:
            fill_reports(bank, stream, shared.rows[row])
