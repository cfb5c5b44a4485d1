"""Bursts and gaps of lost and late frames, and the speech level, of all streams.

RFC 3611 section 4.7.2: a burst begins and ends with a loss and contains no run of `GMIN` or more
played frames; a loss with `GMIN` played frames on both sides belongs to a gap.  Frames of 20 ms are
counted, as the jitter buffers play them.  A played frame costs nothing; a loss compares the number
of frames played since the last loss.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from softphone.media.arrays import ArrayGroup, column, count_nonzero

GMIN: Final = 16
"""The gap threshold that RFC 3611 section 4.7.2 recommends."""

SPEECH_ENERGY: Final = 2500.0
"""Mean square above which a frame counts as speech: about -50 dBm0."""
FOLLOWING: Final = 0.05
"""Weight of a new frame of speech in the moving average of the level."""


class LossBurstBank(ArrayGroup):
    """The loss counters of `capacity` rows, each counted from `start_measuring` on.

    Read-only to others: `measured` bool[capacity], the rows counted, and `speech`
    float64[capacity], the moving average of the mean square of speech; 0 before any speech.
    """

    # The start of the count and the last loss, both in frames played.
    _since = column(np.int64)
    _mark = column(np.int64)
    # The current burst: its losses, and its frames from the first to the last loss.
    _run = column(np.int64)
    _span = column(np.int64)
    _lost = column(np.int64)
    _stretches = column(np.int64)
    _bursts = column(np.int64)
    _burst_lost = column(np.int64)
    _burst_frames = column(np.int64)
    measured = column(np.bool_)
    speech = column(np.float64)

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity)
        self._counters = self.block("_since")

    def start_measuring(self, row: int, played: int) -> None:
        """Start counting a row that has `played` that many frames; no effect on a counted one."""
        if not self.measured[row]:
            self.reset_row(row)
            self._since[row] = self._mark[row] = played
            self.measured[row] = True

    def stop_measuring(self, row: int) -> None:
        """Stop counting a row."""
        self.measured[row] = False

    def count_lost(
        self, rows: NDArray[np.intp], count: int | NDArray[np.int64], played: NDArray[np.int64]
    ) -> None:
        """Count a loss of `count` consecutive frames in each of `rows` (distinct); `played` int64
        per row is the number of frames played so far."""
        good = played - self._mark[rows]
        self._mark[rows] = played
        run = self._run[rows]
        fresh = (good >= GMIN) | (run == 0)
        ended = rows[fresh]
        if ended.size:
            self._close_bursts(ended)
        self._lost[rows] += count
        self._stretches[rows] += (good > 0) | (run == 0)
        self._run[rows] = np.where(fresh, 0, run) + count
        self._span[rows] = np.where(fresh, 0, self._span[rows] + good) + count

    def _close_bursts(self, rows: NDArray[np.intp]) -> None:
        """Add the ended bursts of `rows` to the counters; a single loss is not a burst."""
        burst = self._run[rows] > 1
        self._bursts[rows] += burst
        self._burst_lost[rows] += np.where(burst, self._run[rows], 0)
        self._burst_frames[rows] += np.where(burst, self._span[rows], 0)

    def observe_energy(self, rows: NDArray[np.intp], energy: NDArray[np.float32]) -> None:
        """Update the speech level with the energy (mean square) of the decoded frames, float32 per
        row."""
        before = self.speech[rows]
        moved = before + np.where(before > 0.0, FOLLOWING, 1.0) * (energy - before)
        self.speech[rows] = np.where(energy > SPEECH_ENERGY, moved, before)

    def burst_counts(
        self, rows: slice | NDArray[np.intp], played: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return the counts of `rows` (k, which have `played` that many frames), int64[7, k].

        They are: frames expected, frames lost, stretches of consecutive losses, bursts, frames lost
        in bursts, frames in bursts, and whether the last burst continues.  As in RFC 3611, the
        frames that follow are assumed to be received.
        """
        counters = self._counters[:, rows]
        since, mark, run, span, lost = counters[:5]
        counts = np.zeros((7, lost.size), dtype=np.int64)
        counts[0] = played - since + lost
        counts[1:6] = counters[4:]
        burst = run > 1
        if count_nonzero(burst):
            counts[3] += burst
            counts[4] += burst * run
            counts[5] += burst * span
            counts[6] = burst & (played == mark)
        return counts

    def row_numbers(self, row: int, played: int) -> tuple[int, ...]:
        """Return `burst_counts` of one row."""
        since, mark, run, span, lost, *rest = self._counters[:, row].tolist()
        stretches, bursts, burst_lost, burst_frames = rest
        frames = played - since + lost
        if run <= 1:
            return frames, lost, stretches, bursts, burst_lost, burst_frames, 0
        burst_lost, burst_frames = burst_lost + run, burst_frames + span
        return frames, lost, stretches, bursts + 1, burst_lost, burst_frames, int(played == mark)
