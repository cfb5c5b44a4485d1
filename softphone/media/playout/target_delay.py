"""The target delay of all jitter buffers, from the variation of packet transit.

The transit of a packet is its arrival minus its RTP time in seconds; only differences are
meaningful.  The baseline is the least transit of the last two windows, so it follows clock drift.
The transit above the baseline goes into a histogram with exponential forgetting.  The target delay
is a percentile of the histogram.

When a row restarts, after a pause or with another source, the transit of its first packet is the
baseline until a packet with less transit arrives.  A sender that sends a backlog at once delays the
first packet most.  A packet quicker than all before it therefore records the delay of the first
packet, not its own.  This does not apply right after a row is opened, because its first packets may
have waited on our side.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from softphone.media.arrays import ArrayGroup, column, count_nonzero
from softphone.media.playout.batch_rounds import PacketRuns

BIN = 0.005
WINDOW = 2.0
MEMORY = 200
"""Packets after which a weight has decayed to 1/e: four seconds with 20 ms packets."""
REFRESH = 16
"""The target of a row is recomputed every REFRESH packets, and for each of the first ones."""
HEAVIEST = 1e6
NONE_YET = 1e300
"""Seconds: the previous window's least transit for a row that has had no packet."""


class TargetDelayBank(ArrayGroup):
    """The transit statistics of `capacity` rows.

    Read-only to others, float64[capacity] in seconds: `baseline`, the least recent transit, and
    `target`, from the row's `minimum` to `maximum`.
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
        """Reset a row, except for the baseline, which the next packet sets."""
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
        """Record the transit of one packet of each of `rows` (distinct), or of `runs`."""
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
        # Increase the weight of new packets instead of decaying old ones: this writes one element
        # per packet, not a whole row.
        weight *= 1.0 + 1.0 / MEMORY
        self._weight[rows] = weight
        self._wear(rows, weight)
        count = self._count[rows] + 1
        self._count[rows] = count
        due = (((count + rows) & (REFRESH - 1)) == 0) | (count < REFRESH)
        if count_nonzero(due):
            self._refresh(rows[due])

    def _observe_runs(
        self,
        rows: NDArray[np.intp],
        runs: PacketRuns,
        transit: NDArray[np.float64],
        arrival: NDArray[np.float64],
    ) -> None:
        """Record runs as `observe_transit` would packet by packet, but move windows once a run."""
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
        """Return the delay that each packet adds to the histogram, in seconds, float64[n].

        It is the packet's transit above the baseline.  In the first window after a restart, for a
        packet quicker than all before it by more than a bin, it is the first packet's transit above
        this one's.  `before` is the least transit of the window so far, `previous` that of the
        window before, infinite if there is none.
        """
        above = transit - baseline
        fresh = np.isinf(previous)
        if count_nonzero(fresh):
            fresh &= transit < before - BIN
            quicker = fresh.nonzero()[0]
            quicker_rows, took = rows[quicker], transit[quicker]
            opening = np.isinf(before[quicker])
            self._first[quicker_rows[opening]] = took[opening]
            above[quicker] = self._first[quicker_rows] - took
        return above

    def _places(self, rows: NDArray[np.intp], above: NDArray[np.float64]) -> NDArray[np.intp]:
        """Return the indices in the flat histogram for delays of `above` seconds."""
        bins = (above / BIN).astype(np.intp)
        np.minimum(bins, self._histogram.shape[1] - 1, out=bins)
        bins += rows * self._histogram.shape[1]
        return bins

    def _wear(self, rows: NDArray[np.intp], weight: NDArray[np.float64]) -> None:
        """Scale down the histograms of distinct `rows` whose weight exceeds HEAVIEST."""
        heavy = weight > HEAVIEST
        if count_nonzero(heavy):
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
