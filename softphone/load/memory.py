"""Garbage collection while a process makes load.

What is there before the load begins stays to its end, so it is not looked through again.  A call
that is over is a ring of some 330 objects (its usage, its transactions, its offers) that only the
collector frees, so it must come by: seldom enough that young calls are not looked through over and
over, often enough that the oldest collection finds thousands of dead calls and not hundreds of
thousands, which would take hundreds of megabytes and stop the media for as long.  It is the whole
process's setting for as long as a run lasts, and is undone.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["settled_memory"]

THRESHOLDS = (10_000, 10, 10)
"""Python's own are 700, 10 and 10: allocations, young and middle collections.  Here that is a young
collection every 30 calls, a middle one every 300, and one of everything every 3,000."""


@contextmanager
def settled_memory() -> Iterator[None]:
    """Collect once, freeze what is left, and collect more seldom until the block is left."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
