"""A bounded ring of octets between two processes: one writes, one reads, neither waits.

The memory has no name in the file system (memfd_create): it is gone with the last of the two
processes, however that ends.  Linux only.
"""

from __future__ import annotations

import mmap
import os
import sys
import threading
from typing import Final, Self

import numpy as np
import numpy.typing as npt

__all__ = ["HEADER", "SharedRing", "map_memory", "shared_memory"]

HEADER: Final = 64
"""Octets before the ring itself: eight words of 64 bits."""

WRITTEN, TAKEN, ENDED, DROPPED = range(4)

Octets = npt.NDArray[np.uint8]


def shared_memory(octets: int) -> int:
    """A descriptor of anonymous memory of so many octets.  Raises OSError."""
    descriptor = os.memfd_create("softphone-media", os.MFD_CLOEXEC)
    try:
        os.ftruncate(descriptor, octets)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def map_memory(descriptor: int) -> mmap.mmap:
    """The memory of a descriptor, which may be closed; before Python 3.13 a copy of it stays open
    for as long as the memory is used."""
    if sys.version_info >= (3, 13):
        return mmap.mmap(descriptor, 0, trackfd=False)
    return mmap.mmap(descriptor, 0)


class SharedRing:
    """The ring in the memory of `descriptor`, which may be closed afterwards.

    `ended` is the writer's word that nothing more will come, `dropped` what it counts as lost.
    """

    def __init__(self, descriptor: int) -> None:
        memory = map_memory(descriptor)
        self._words: npt.NDArray[np.int64] = np.frombuffer(memory, dtype=np.int64, count=8)
        self._data: Octets = np.frombuffer(memory, dtype=np.uint8, offset=HEADER)
        self._lock = threading.Lock()

    @classmethod
    def create(cls, octets: int) -> tuple[Self, int]:
        """A new ring that holds so many octets, and its descriptor.  Raises OSError."""
        descriptor = shared_memory(HEADER + octets)
        return cls(descriptor), descriptor

    def _fence(self) -> None:
        # What was stored before is seen before what is stored afterwards, on every processor:
        # a lock's release may not be overtaken, nor may what follows its acquisition.
        with self._lock:
            pass
        with self._lock:
            pass

    @property
    def available(self) -> int:
        """Octets that can be taken."""
        return int(self._words[WRITTEN] - self._words[TAKEN])

    @property
    def room(self) -> int:
        """Octets that can be put in."""
        return self._data.size - self.available

    @property
    def ended(self) -> bool:
        """Whether the writer has ended."""
        return bool(self._words[ENDED])

    @property
    def dropped(self) -> int:
        """What the writer counted as lost."""
        return int(self._words[DROPPED])

    def end(self) -> None:
        """Say that nothing more will be put in."""
        self._fence()
        self._words[ENDED] = 1

    def drop(self, count: int) -> None:
        """Count something as lost."""
        self._words[DROPPED] += count

    def put(self, *parts: Octets) -> bool:
        """Put in all of uint8[n] arrays, or nothing and give False where there is no room."""
        if sum(part.size for part in parts) > self.room:
            return False
        at = int(self._words[WRITTEN])
        for part in parts:
            start = at % self._data.size
            first = min(part.size, self._data.size - start)
            self._data[start : start + first] = part[:first]
            self._data[: part.size - first] = part[first:]
            at += part.size
        self._fence()
        self._words[WRITTEN] = at
        return True

    def take(self, octets: int) -> Octets:
        """Take out at most so many octets: a copy."""
        size = max(0, min(octets, self.available, self._data.size))
        self._fence()
        at = int(self._words[TAKEN])
        start = at % self._data.size
        taken = np.empty(size, dtype=np.uint8)
        first = min(size, self._data.size - start)
        taken[:first] = self._data[start : start + first]
        taken[first:] = self._data[: size - first]
        self._fence()
        self._words[TAKEN] = at + size
        return taken
