"""What only the cyclic collector could free: the rings of objects that something has left."""

from __future__ import annotations

import gc
from collections import Counter
from contextlib import contextmanager


@contextmanager
def no_collector():
    """Nothing is collected meanwhile: what goes, goes by its reference count."""
    gc.collect()
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def rings():
    """How many objects of ours, by type, are in rings or hang on one, and that nobody holds."""
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
