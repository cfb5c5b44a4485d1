"""Memory for what is large and lives as long as a call: whole pages of the system's.

The C library keeps large pieces that are freed for later ones of their size.  Where calls come
and go, with rings of a megabyte each and small things between them, it keeps ever more of them.
These pages go back to the system when their array does.

Where memory is large and only some of it is ever touched, the pages are small ones: NumPy asks for
those of 2 MB from 4 MB on, and then one row of a bank takes the room of hundreds.
"""

from __future__ import annotations

import mmap
from contextlib import suppress
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["LARGE", "zeros"]

LARGE: Final = 65_536
"""Octets from which pages of their own are worth a call to the system."""


def zeros(octets: int) -> NDArray[np.uint8]:
    """`octets` zeros, uint8[octets]; pages of them that are never touched take no memory."""
    if octets < LARGE:
        return np.zeros(octets, dtype=np.uint8)
    if hasattr(mmap, "MAP_PRIVATE"):
        memory = mmap.mmap(-1, octets, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    else:
        memory = mmap.mmap(-1, octets)
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        with suppress(OSError):  # a system that has no large pages refuses to do without them
            memory.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(memory, dtype=np.uint8)
