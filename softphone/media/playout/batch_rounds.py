"""Division of a packet batch into parts that array operations can process.

An array operation on rows needs each row at most once.  A batch nearly always meets this, and is
one round.  A far end that was suspended, or serves its calls in turn, sends many packets of one row
at once; that many rounds would each cost as much as a round of all rows.  Therefore, after the
first packet of each row, what follows of a row with many is offered together, as `PacketRuns`.
What cannot be processed so continues in rounds, `MOST_ROUNDS` at most.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from softphone.media.arrays import count_nonzero

MOST_ROUNDS: Final = 8
"""Maximum rounds of one batch.  Only a far end that changes its SSRC every other packet needs more;
`serve` returns the rest of its packets."""

DEPTH: Final = 4
"""Packets of one row up to which rounds are cheaper than runs.  Other rows have no part in that, so
that what a row comes to does not depend on them."""

Part: TypeAlias = "NDArray[np.intp] | slice"
Kind = TypeVar("Kind", bound=np.generic)


class BatchRounds:
    """Divides batches of any size over `capacity` rows; keeps one number per row."""

    def __init__(self, capacity: int) -> None:
        self._first = np.zeros(capacity, dtype=np.intp)
        self._places = np.arange(capacity)
        self._places.flags.writeable = False

    def serve(
        self,
        rows: NDArray[np.intp],
        one_each: Callable[[Part], None],
        in_runs: Callable[[NDArray[np.intp]], NDArray[np.bool_]],
    ) -> NDArray[np.intp]:
        """Pass every index into `rows` to a callback; return the rest, nearly always none.

        `one_each` gets indices in which no row occurs twice, or a slice if that is the whole batch,
        so that NumPy makes no copy.  `in_runs` is called for the rows that have more than DEPTH
        packets left, after the first packet of each row; it gets their indices and returns a mask
        bool[n] of those that it has processed.  The others continue in order.
        """
        chosen, remaining = rows, self._numbers(rows.size)
        for _ in range(MOST_ROUNDS):
            first = self._firsts(chosen)
            if count_nonzero(first) == first.size:
                if first.size:
                    one_each(slice(rows.size) if chosen is rows else remaining)
                return remaining[:0]
            one_each(remaining[first])
            remaining = remaining[~first]
            chosen = rows[remaining]
            if chosen.size > DEPTH:
                deep = (np.bincount(chosen) > DEPTH)[chosen]
                if count_nonzero(deep):
                    left = ~deep
                    left[deep] = ~in_runs(remaining[deep])
                    remaining = remaining[left]
                    chosen = rows[remaining]
        return remaining

    def _numbers(self, count: int) -> NDArray[np.intp]:
        if count > self._places.size:
            self._places = np.arange(count)
        return self._places[:count]

    def _firsts(self, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Return a mask of the first occurrence of each row."""
        places = self._numbers(rows.size)
        # Assigned in reverse, so that the first place of each row remains.
        self._first[rows[::-1]] = places[::-1]
        first: NDArray[np.bool_] = self._first[rows] == places
        return first


class PacketRuns:
    """n packets sorted by row; the adjacent packets of one row are a run.

    `starts` and `ends` intp[k] are the indices of the first and the last packet of each of k runs,
    `lengths` their numbers of packets; `nth` intp[n] is each packet's index in its run, from 0.
    """

    __slots__ = ("ends", "lengths", "nth", "starts")

    def __init__(self, rows: NDArray[np.integer[Any]]) -> None:
        begins = np.ones(rows.size, dtype=np.bool_)
        np.not_equal(rows[1:], rows[:-1], out=begins[1:])
        self.starts = begins.nonzero()[0]
        self.ends = np.empty_like(self.starts)
        self.ends[:-1], self.ends[-1:] = self.starts[1:] - 1, rows.size - 1
        self.lengths = self.ends - self.starts + 1
        self.nth = np.arange(rows.size) - self.starts.repeat(self.lengths)

    def before(self, values: NDArray[Kind], first: Any) -> NDArray[Kind]:
        """Return the value of the packet before each one in its run; for the first of a run
        `first` (n values, or one)."""
        before = np.empty_like(values)
        before[1:] = values[:-1]
        return np.where(self.nth == 0, first, before).astype(values.dtype, copy=False)

    def so_far(self, flags: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Return the number of flagged packets of the run up to and including each packet."""
        counted = flags.cumsum()
        skipped = counted[self.starts] - flags[self.starts]
        found: NDArray[np.intp] = counted - skipped.repeat(self.lengths)
        return found

    def leading(self, good: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return a mask bool[n] of the packets before the first of their run that is not `good`."""
        leading: NDArray[np.bool_] = self.so_far(~good) == 0
        return leading

    def lowest(self, values: NDArray[Kind]) -> NDArray[Kind]:
        """Return the minimum of the run up to and including each packet.

        Each step doubles the distance that it looks back, so the steps are logarithmic in number.
        """
        found, back, longest = values.copy(), 1, int(self.nth.max(initial=0))
        while back <= longest:
            at = (self.nth >= back).nonzero()[0]
            found[at] = np.minimum(found[at], found[at - back])
            back *= 2
        return found
