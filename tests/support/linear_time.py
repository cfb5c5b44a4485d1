"""Judges whether work grows linearly with its input, by a ratio of processor times.

Work that is quick at `size` octets cannot be quadratic.  Slower work is compared with itself at
four times the input: linear work then takes 4 times as long, quadratic work 16 times.
"""

from __future__ import annotations

import gc
import os
import random
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")

QUICK = 0.004
"""Seconds in which no square of 8192 steps is done: each would take an eighth of a nanosecond."""
GROWTH = 4
MOST = 10
"""Between 4 and 16: room for caches that the larger input does not fit into."""
ATTEMPTS = 5
HOPELESS = 13
"""What no noise makes of 4: it is not tried again, since it may take minutes."""
SHARE = 12
"""One in so many generated cases is tried by `make test`, the same ones in every run."""
WHOLE_SWEEPS = "SOFTPHONE_WHOLE_SWEEPS"
"""Set where all of them are: by `make nightly`, as `python -m tests.sweeps`."""


def some_of(cases: Iterable[T], name: str) -> list[T]:
    """A share of the cases, another one for each name; all of them with WHOLE_SWEEPS."""
    every = list(cases)
    if os.environ.get(WHOLE_SWEEPS):
        return every
    return random.Random(name).sample(every, -(-len(every) // SHARE))


def processor_time(work: Callable[[T], object], given: T) -> float:
    """Seconds of processor time that `work(given)` takes, but for garbage collection: that looks
    at what others have left, too."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        begun = time.process_time()
        work(given)
        return time.process_time() - begun
    finally:
        if collecting:
            gc.enable()


def is_linear(
    work: Callable[[T], object],
    make: Callable[[int], T],
    *,
    size: int = 8192,
    largest: int = GROWTH * 8192,
) -> bool:
    """Whether four times the input is about four times the work, by the best of some attempts.

    `make(count)` gives an input of about `count` octets; `work` must not change it.  Nothing is
    read that is larger than `largest`.
    """
    if processor_time(work, make(min(size, largest))) < QUICK:
        return True
    small, large = make(largest // GROWTH), make(largest)
    for _ in range(ATTEMPTS):
        least = min(processor_time(work, small) for _ in range(2))
        most = processor_time(work, large)
        if most < max(MOST * least, GROWTH * QUICK):
            return True
        if most > HOPELESS * least:
            break
    return False
