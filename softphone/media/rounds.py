"""A batch cut into rounds in which no row comes twice, so that each can be one array operation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["Rounds"]


class Rounds:
    """Cuts batches of at most any size; keeps one number for each of `capacity` rows."""

    def __init__(self, capacity: int) -> None:
        self._first = np.zeros(capacity, dtype=np.intp)
        self._places = np.arange(capacity)
        self._places.flags.writeable = False

    def cut(self, rows: NDArray[np.intp]) -> Iterator[NDArray[np.intp] | slice]:
        """Indices into `rows`, in order; the packets of a row stay in order from round to round.

        Nearly always that is one round with everything, and then it is a slice, so that nothing is
        gathered.
        """
        if rows.size > self._places.size:
            self._places = np.arange(rows.size)
        remaining = self._places[: rows.size]
        chosen = rows
        while remaining.size:
            places = self._places[: remaining.size]
            # Assigned back to front, so that what stays is the first place of each row.
            self._first[chosen[::-1]] = places[::-1]
            first = self._first[chosen] == places
            if np.count_nonzero(first) == first.size:
                yield remaining if chosen is not rows else slice(rows.size)
                return
            yield remaining[first]
            remaining = remaining[~first]
            chosen = rows[remaining]
