"""Finds objects that only the cyclic collector can free: reference cycles that were left."""

from __future__ import annotations

import gc
from collections import Counter
from contextlib import contextmanager


@contextmanager
def no_collector():
    """Disable the collector within the block: objects are freed by reference count only."""
    gc.collect()
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def rings():
    """Count our objects, by type, that are in cycles or held by one only."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        kinds = Counter(
            f"{type(thing).__module__}.{type(thing).__qualname__}"
            for thing in gc.garbage
            if type(thing).__module__.startswith("softphone")
        )
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
    return dict(kinds)


def alive(*kinds):
    """How many objects of these types there are."""
    return Counter(type(thing).__name__ for thing in gc.get_objects() if isinstance(thing, kinds))
