"""Garbage collection in a process that generates load.

Objects that exist before the load begins stay to its end, so the collector need not scan them.
Reference counting alone frees a call that is over; only the collector frees reference cycles, which
scenarios may leave and asyncio's transports do.  It must therefore run, but seldom: each collection
scans thousands of live calls, and media waits meanwhile.  The setting applies to the whole process
and is undone after the run.  Python can only unfreeze all objects at once: where the application
has frozen some, they stay so, and the run freezes none.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

THRESHOLDS = (200_000, 10, 10)
"""Python's defaults are 700, 10 and 10: objects more than at the last collection, then young and
middle collections.  A call that is up has some 220 objects, and leaves 50 for the 32 s of timer M.
A collection thus comes once for every 900 calls that come in addition, and hardly ever once calls
come and go in equal numbers for longer than that.  It takes 50 to 100 ms.  With 10,000 it took 5 to
10 ms several times a second, and 35 ms every tenth time, and made media late by that."""


@contextmanager
def relaxed_garbage_collection() -> Iterator[None]:
    """Collect once, freeze what is left, and collect less often until the block is left.

    Freezes nothing where the application has: unfreezing would be for its objects, too.
    """
    before = gc.get_threshold()
    ours = gc.get_freeze_count() == 0
    gc.collect()
    if ours:
        gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        if ours:
            gc.unfreeze()
