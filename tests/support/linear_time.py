"""Judges whether work grows in proportion to its input, by a ratio of processor times.

What is quick at `size` octets is no square of them; what is not quick is compared with itself at
four times its input, where the proportion is four times as much work and the square 16 times.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

QUICK = 0.004
"""Seconds in which no square of 8192 steps is done: each would take an eighth of a nanosecond."""
GROWTH = 4
MOST = 9
"""Between 4 and 16: twice the proportion, and far below the square."""
ATTEMPTS = 3


def processor_time(work: Callable[[T], object], given: T) -> float:
    """Seconds of processor time that `work(given)` takes."""
    begun = time.process_time()
    work(given)
    return time.process_time() - begun


def is_linear(work: Callable[[T], object], make: Callable[[int], T], *, size: int = 8192) -> bool:
    """Whether four times the input is about four times the work, by the best of some attempts.

    `make(count)` gives an input of about `count` octets; `work` must not change it.
    """
    if processor_time(work, make(size)) < QUICK:
        return True
    small, large = make(size), make(GROWTH * size)
    for attempt in range(1, ATTEMPTS + 1):
        least = min(processor_time(work, small) for _ in range(2 * attempt))
        if processor_time(work, large) < max(MOST * least, GROWTH * QUICK):
            return True
    return False
