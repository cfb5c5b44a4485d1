"""A batch cut up so that each part is one array operation, however many packets of a row it holds.

Nearly always no row comes twice, and the batch is one round.  A far end that has stood still, or
serves its calls by turns, sends many packets of one row at once: rounds alone would then be as many
as those, each for a few rows, at the price of a round for all.  So after the first packet of each
row those that follow are offered together, as `PacketRuns`; only what cannot be taken so goes on by
rounds, and for `MOST_ROUNDS` at most.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

MOST_ROUNDS: Final = 8
"""Rounds of one batch.  Only a far end that changes its source with every other packet needs more;
what is left of it then is given back."""

DEPTH: Final = 4
"""Packets of one row up to which as many rounds are cheaper than runs."""

Part: TypeAlias = "NDArray[np.intp] | slice"
Kind = TypeVar("Kind", bound=np.generic)


class BatchRounds:
    """Cuts batches of at most any size; keeps one number for each of `capacity` rows."""

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
        """Give every index into `rows` to one of the two; those that are left, nearly always none.

        `one_each` is given indices in which no row comes twice; a slice where that is everything,
        so that nothing is gathered.  `in_runs` is given more than DEPTH packets of some row, always
        after the first of each has been taken, and says which it takes, bool[n].  What it leaves
        of a row goes on in order.
        """
        chosen, remaining = rows, self._numbers(rows.size)
        for _ in range(MOST_ROUNDS):
            first = self._firsts(chosen)
            if np.count_nonzero(first) == first.size:
                if first.size:
                    one_each(slice(rows.size) if chosen is rows else remaining)
                return remaining[:0]
            one_each(remaining[first])
            remaining = remaining[~first]
            chosen = rows[remaining]
            if chosen.size > DEPTH and np.bincount(chosen).max() > DEPTH:
                remaining = remaining[~in_runs(remaining)]
                chosen = rows[remaining]
        return remaining

    def _numbers(self, count: int) -> NDArray[np.intp]:
        if count > self._places.size:
            self._places = np.arange(count)
        return self._places[:count]

    def _firsts(self, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Which are the first of their rows."""
        places = self._numbers(rows.size)
        # Assigned back to front, so that what stays is the first place of each row.
        self._first[rows[::-1]] = places[::-1]
        first: NDArray[np.bool_] = self._first[rows] == places
        return first


class PacketRuns:
    """n packets sorted by row: those of a row stand side by side, and are its run.

    `starts` and `ends` intp[k] are the places of the first and the last of each of k runs,
    `lengths` how many packets it has; `nth` intp[n] is the place of each packet in its run, from 0.
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
        """The value of the packet before each in its run; `first` (n values, or one) where there is
        none."""
        before = np.empty_like(values)
        before[1:] = values[:-1]
        return np.where(self.nth == 0, first, before).astype(values.dtype, copy=False)

    def so_far(self, flags: NDArray[np.bool_]) -> NDArray[np.intp]:
        """How many packets of each run are flagged up to each of them, itself too."""
        counted = flags.cumsum()
        skipped = counted[self.starts] - flags[self.starts]
        found: NDArray[np.intp] = counted - skipped.repeat(self.lengths)
        return found

    def leading(self, good: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which packets stand before the first of their run that is not `good`, bool[n]."""
        leading: NDArray[np.bool_] = self.so_far(~good) == 0
        return leading

    def lowest(self, values: NDArray[Kind]) -> NDArray[Kind]:
        """The least value of each run up to each packet.

        Each step doubles how far back it has looked, so that there are few of them.
        """
        found, back, longest = values.copy(), 1, int(self.nth.max(initial=0))
        while back <= longest:
            at = np.flatnonzero(self.nth >= back)
            found[at] = np.minimum(found[at], found[at - back])
            back *= 2
        return found
