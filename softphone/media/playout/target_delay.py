"""How long packets should wait: transit variation of a whole bank, and the target delay from it.

The transit of a packet is its arrival less its RTP time, in seconds; only differences mean
anything.  The baseline is the least transit of the last two windows, so it follows the drift
between the two clocks.  What a packet took above the baseline goes into a histogram with
exponential forgetting, whose percentile is the target delay.

Where a row begins anew, after a pause or another source, its baseline is the first packet's, until
a quicker one shows how late that was: the first of what a sender has held back, and sends all at
once, is its latest.  So a packet that is quicker than all before it tells of the first one, not of
itself.  Not so where the row was opened: what comes then may have waited for us.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from softphone.media.arrays import ArrayGroup, column
from softphone.media.playout.batch_rounds import PacketRuns

BIN = 0.005
WINDOW = 2.0
MEMORY = 200
"""Packets: four seconds of 20 ms ones."""
REFRESH = 16
"""The target of a row is computed anew at every sixteenth packet, and at each of the first ones."""
HEAVIEST = 1e6
NONE_YET = 1e300
"""Seconds: the least transit of the window before the row was opened."""


class TargetDelayBank(ArrayGroup):
    """The transit statistics of `capacity` rows.

    Read-only to others, float64[capacity] in seconds: `baseline`, the least transit lately, and
    `target`, within `minimum` of the row and `maximum`.
    """

    baseline = column(np.float64)
    target = column(np.float64)
    _minimum = column(np.float64)
    _current = column(np.float64, default=np.inf)
    _previous = column(np.float64, default=np.inf)
    # The transit of the first packet of a window that has none before it.
    _first = column(np.float64)
    _window_end = column(np.float64)
    _count = column(np.int64)
    _weight = column(np.float64, default=1.0)
    _histogram = column(np.float64, "bins")

    def __init__(self, capacity: int, *, maximum: float, percentile: float) -> None:
        super().__init__(capacity, bins=math.ceil(maximum / BIN) + 1)
        self.maximum = maximum
        self.percentile = percentile
        self._flat = self._histogram.reshape(-1)

    def open_row(self, row: int, *, minimum: float) -> None:
        """Start a row afresh, but for the baseline, which the next packet sets."""
        baseline = self.baseline.item(row)
        self.reset_row(row)
        self.baseline[row] = baseline
        self._minimum[row] = self.target[row] = min(minimum, self.maximum)

    def rebase(self, rows: NDArray[np.intp]) -> None:
        """Forget the baseline: the RTP clock of these rows has jumped."""
        self._current[rows] = np.inf
        self._previous[rows] = np.inf
        self._window_end[rows] = 0.0

    def observe_transit(
        self,
        rows: NDArray[np.intp],
        runs: PacketRuns | None,
        transit: NDArray[np.float64],
        arrival: NDArray[np.float64],
    ) -> None:
        """Take the transit of one packet of each of `rows` (each at most once), or of `runs`."""
        if runs is not None:
            self._observe_runs(rows, runs, transit, arrival)
            return
        self._move_windows(rows, arrival)
        before, previous = self._current[rows], self._previous[rows]
        current = np.minimum(before, transit)
        self._current[rows] = current
        baseline = np.minimum(current, previous)
        self.baseline[rows] = baseline
        weight = self._weight[rows]
        above = self._above(rows, transit, baseline, before, previous)
        self._flat[self._places(rows, above)] += weight
        # New packets weigh more instead of old ones less: one element a packet, not a whole row.
        weight *= 1.0 + 1.0 / MEMORY
        self._weight[rows] = weight
        self._wear(rows, weight)
        count = self._count[rows] + 1
        self._count[rows] = count
        due = (((count + rows) & (REFRESH - 1)) == 0) | (count < REFRESH)
        if np.count_nonzero(due):
            self._refresh(rows[due])

    def _observe_runs(
        self,
        rows: NDArray[np.intp],
        runs: PacketRuns,
        transit: NDArray[np.float64],
        arrival: NDArray[np.float64],
    ) -> None:
        """The same, packet after packet, but that the windows of a row move once for all."""
        every, nth = rows[runs.ends], runs.nth
        self._move_windows(every, arrival[runs.ends])
        before, previous = self._current[rows], self._previous[rows]
        lowest = runs.lowest(transit)
        current = np.minimum(before, lowest)
        self._current[every] = current[runs.ends]
        baseline = np.minimum(current, previous)
        self.baseline[every] = baseline[runs.ends]
        weight = self._weight[rows] * (1.0 + 1.0 / MEMORY) ** nth
        before = np.minimum(before, runs.before(lowest, np.inf))
        above = self._above(rows, transit, baseline, before, previous)
        np.add.at(self._flat, self._places(rows, above), weight)
        heaviest = weight[runs.ends] * (1.0 + 1.0 / MEMORY)
        self._weight[every] = heaviest
        self._wear(every, heaviest)
        self._count[every] += runs.lengths
        self._refresh(every)

    def _above(
        self,
        rows: NDArray[np.intp],
        transit: NDArray[np.float64],
        baseline: NDArray[np.float64],
        before: NDArray[np.float64],
        previous: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """What is learned from each packet, seconds: what it took above the baseline; or, in the
        first window after a row has begun anew, what the first packet took above this one, if it
        is quicker by a bin than all before it.

        `before` is the least transit of the window so far, `previous` that of the window before,
        infinite where there is none; both float64[n], as all else.
        """
        above = transit - baseline
        fresh = np.isinf(previous)
        if np.count_nonzero(fresh):
            fresh &= transit < before - BIN
            quicker = np.flatnonzero(fresh)
            quicker_rows, took = rows[quicker], transit[quicker]
            opening = np.isinf(before[quicker])
            self._first[quicker_rows[opening]] = took[opening]
            above[quicker] = self._first[quicker_rows] - took
        return above

    def _places(self, rows: NDArray[np.intp], above: NDArray[np.float64]) -> NDArray[np.intp]:
        """Where in the flat histogram what took so long above the baseline goes."""
        bins = (above / BIN).astype(np.intp)
        np.minimum(bins, self._histogram.shape[1] - 1, out=bins)
        bins += rows * self._histogram.shape[1]
        return bins

    def _wear(self, rows: NDArray[np.intp], weight: NDArray[np.float64]) -> None:
        """Make the weights of distinct `rows` light again before they are too heavy."""
        heavy = weight > HEAVIEST
        if np.count_nonzero(heavy):
            worn = rows[heavy]
            self._histogram[worn] /= weight[heavy, None]
            self._weight[worn] = 1.0

    def _move_windows(self, rows: NDArray[np.intp], arrival: NDArray[np.float64]) -> None:
        overdue = arrival - self._window_end[rows]
        if overdue.max(initial=-1.0) < 0.0:
            return
        moved = overdue >= 0.0
        ended = rows[moved]
        least = np.where(overdue[moved] < WINDOW, self._current[ended], np.inf)
        least[self._count[ended] == 0] = NONE_YET
        self._previous[ended] = least
        self._current[ended] = np.inf
        self._window_end[ended] = arrival[moved] + WINDOW

    def _refresh(self, rows: NDArray[np.intp]) -> None:
        cumulative = np.cumsum(self._histogram[rows], axis=1)
        enough = cumulative >= self.percentile * cumulative[:, -1:]
        wanted = (np.argmax(enough, axis=1) + 1) * BIN
        self.target[rows] = np.minimum(np.maximum(wanted, self._minimum[rows]), self.maximum)
