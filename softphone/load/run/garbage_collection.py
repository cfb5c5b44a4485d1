"""Garbage collection while a process makes load.

What is there before the load begins stays to its end, so it is not looked through again.  A call
that is over is freed by its references alone; what a scenario leaves in rings, or a transport of
asyncio's, which keeps a method of its own, only the collector frees.  So it must come by, but
seldom: thousands of live calls are otherwise looked through over and over, and media waits as
long.  It is the whole process's setting for as long as a run lasts, and is undone.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

THRESHOLDS = (10_000, 10, 10)
"""Python's own are 700, 10 and 10: allocations, young and middle collections.  Here that is a young
collection every 30 calls, a middle one every 300, and one of everything every 3,000."""


@contextmanager
def relaxed_garbage_collection() -> Iterator[None]:
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
