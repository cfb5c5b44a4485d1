"""Bursts and gaps of what was lost or came too late, and the level of what is heard, a whole bank.

RFC 3611 section 4.7.2: a burst begins and ends with a loss, and holds no run of `GMIN` or more
frames that were played; a loss with as many on both sides of it belongs to a gap.  Frames of 20 ms
are counted, as the jitter buffers see them: nothing is done for a frame that is played, and a loss
looks only at how many were played since the last one.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from softphone.media.arrays import ArrayGroup, column

GMIN: Final = 16
"""The gap threshold that RFC 3611 section 4.7.2 recommends."""

SPEECH_ENERGY: Final = 2500.0
"""Mean square from which on a frame counts as speech: about -50 dBm0."""
FOLLOWING: Final = 0.05
"""Share by which a frame of speech moves the level."""


class LossBurstBank(ArrayGroup):
    """What was lost of `capacity` rows, each row counted from `start_measuring` on.

    Read-only to others: `measured` bool[capacity], the rows that are counted, and `speech`
    float64[capacity], the mean square of what was heard of speech lately; 0 for none.
    """

    # Since when a row is counted, and when its last loss was, both in frames played.
    _since = column(np.int64)
    _mark = column(np.int64)
    # The burst that is not over: its losses, and its frames from the first to the last loss.
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
        """Count a row from now on, when it has played so many frames; one that is counted goes
        on."""
        if not self.measured[row]:
            self.reset_row(row)
            self._since[row] = self._mark[row] = played
            self.measured[row] = True

    def stop_measuring(self, row: int) -> None:
        """Count a row no longer."""
        self.measured[row] = False

    def count_lost(
        self, rows: NDArray[np.intp], count: int | NDArray[np.int64], played: NDArray[np.int64]
    ) -> None:
        """`count` frames in a row were missed by each of `rows` (each at most once), which have
        played so many, int64 a row."""
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
        """The last burst of `rows` is over; one loss alone is none."""
        burst = self._run[rows] > 1
        self._bursts[rows] += burst
        self._burst_lost[rows] += np.where(burst, self._run[rows], 0)
        self._burst_frames[rows] += np.where(burst, self._span[rows], 0)

    def observe_energy(self, rows: NDArray[np.intp], energy: NDArray[np.float32]) -> None:
        """Take the energy (mean square) of the frames just decoded, a row each."""
        before = self.speech[rows]
        moved = before + np.where(before > 0.0, FOLLOWING, 1.0) * (energy - before)
        self.speech[rows] = np.where(energy > SPEECH_ENERGY, moved, before)

    def burst_counts(
        self, rows: slice | NDArray[np.intp], played: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """What there is to say of `rows`, k that have `played` so many frames, int64[7, k]:

        frames expected, frames lost, stretches of them without a frame between, bursts, frames
        lost in bursts, frames of bursts, and whether the last burst is still on.  As the RFC has
        it, what follows now is taken to be received.
        """
        counters = self._counters[:, rows]
        since, mark, run, span, lost = counters[:5]
        counts = np.zeros((7, lost.size), dtype=np.int64)
        counts[0] = played - since + lost
        counts[1:6] = counters[4:]
        burst = run > 1
        if np.count_nonzero(burst):
            counts[3] += burst
            counts[4] += burst * run
            counts[5] += burst * span
            counts[6] = burst & (played == mark)
        return counts

    def row_numbers(self, row: int, played: int) -> tuple[int, ...]:
        """The same of one row."""
        since, mark, run, span, lost, *rest = self._counters[:, row].tolist()
        stretches, bursts, burst_lost, burst_frames = rest
        frames = played - since + lost
        if run <= 1:
            return frames, lost, stretches, bursts, burst_lost, burst_frames, 0
        burst_lost, burst_frames = burst_lost + run, burst_frames + span
        return frames, lost, stretches, bursts + 1, burst_lost, burst_frames, int(played == mark)
