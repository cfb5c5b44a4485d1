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

    def cut(self, rows: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
        """Indices into `rows`, in order; the packets of a row stay in order from round to round.

        Nearly always that is one round with everything.
        """
        remaining = np.arange(rows.size)
        while remaining.size:
            chosen = rows[remaining]
            places = np.arange(remaining.size)
            # Assigned back to front, so that what stays is the first place of each row.
            self._first[chosen[::-1]] = places[::-1]
            first = self._first[chosen] == places
            if first.all():
                yield remaining
                return
            yield remaining[first]
            remaining = remaining[~first]
