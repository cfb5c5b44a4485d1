"""Garbage collection while a process makes load.

What is there before the load begins stays to its end, so it is not looked through again; and calls
are freed by their reference counts, so cycles are looked for seldom.  It is the whole process's
setting for as long as a run lasts, and is undone.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["settled_memory"]

THRESHOLDS = (50_000, 20, 50)
"""Python's own are 700, 10 and 10 allocations, young and middle collections."""


@contextmanager
def settled_memory() -> Iterator[None]:
    """Collect once, freeze what is left, and collect seldom until the block is left."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
