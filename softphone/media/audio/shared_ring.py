"""A bounded ring of octets between two processes, or within one: one writes, one reads, neither
waits.

Shared memory has no name in the file system (memfd_create): it is gone with the last of the two
processes, however that ends.  Linux only; a local ring is a plain array.
"""

from __future__ import annotations

import mmap
import os
import sys
import threading
from typing import Final, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from softphone.media.arrays import zeros

HEADER: Final = 64
"""Octets before the ring itself: eight words of 64 bits."""

WRITTEN, TAKEN, ENDED, DROPPED, FLUSHED, CONFIRMED, FLUSHES = range(7)

Octets: TypeAlias = npt.NDArray[np.uint8]


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

    `ended` is the writer's word that nothing more will come, `dropped` what it counts as lost,
    `confirmed` the reader's word of what has had its effect, as octets since the beginning.
    """

    def __init__(self, memory: int | Octets) -> None:
        """`memory` is a descriptor, or zeros of one's own, for both ends in one thread."""
        # Looked at several times a frame: as Python's own numbers, at a tenth of what NumPy takes.
        self._words: memoryview[int] | list[int]
        self._lock: threading.Lock | None = None
        if isinstance(memory, int):
            mapped = map_memory(memory)
            self._words = memoryview(mapped)[:HEADER].cast("q")
            self._data: Octets = np.frombuffer(mapped, dtype=np.uint8, offset=HEADER)
            self._lock = threading.Lock()
        else:
            self._words = [0] * (HEADER // 8)
            self._data = memory

    @classmethod
    def create(cls, octets: int) -> tuple[Self, int]:
        """A new ring that holds so many octets, and its descriptor.  Raises OSError."""
        descriptor = shared_memory(HEADER + octets)
        return cls(descriptor), descriptor

    @classmethod
    def local(cls, octets: int) -> Self:
        """A new ring for both ends in this thread."""
        # Memory that was never written to takes none.
        return cls(zeros(octets))

    def _fence(self) -> None:
        # What was stored before is seen before what is stored afterwards, on every processor:
        # a lock's release may not be overtaken, nor may what follows its acquisition.
        if self._lock is None:
            return
        with self._lock:
            pass
        with self._lock:
            pass

    @property
    def available(self) -> int:
        """Octets that can be taken."""
        return self._words[WRITTEN] - max(self._words[TAKEN], self._words[FLUSHED])

    @property
    def written(self) -> int:
        """Octets put in since the beginning."""
        return self._words[WRITTEN]

    @property
    def taken(self) -> int:
        """Octets taken out, or flushed, since the beginning."""
        return max(self._words[TAKEN], self._words[FLUSHED])

    @property
    def confirmed(self) -> int:
        """Octets whose effect the reader has told of."""
        return self._words[CONFIRMED]

    def confirm(self, octets: int) -> None:
        """Say that so many octets since the beginning have had their effect."""
        self._words[CONFIRMED] = octets

    def start_at(self, octets: int) -> None:
        """Count from so many octets on, before anything is put in."""
        self._words[WRITTEN] = self._words[TAKEN] = self._words[CONFIRMED] = octets

    def flush(self) -> int:
        """The writer's: have the reader pass over what is there; how many octets that was."""
        left = self.available
        self._fence()
        self._words[FLUSHED] = self._words[WRITTEN]
        self._words[FLUSHES] += 1
        return left

    @property
    def flushes(self) -> int:
        """How often it was flushed."""
        return self._words[FLUSHES]

    @property
    def free_octets(self) -> int:
        """Octets that can be put in."""
        # What is flushed stays in its place until the reader has passed over it.
        return self._data.size - (self._words[WRITTEN] - self._words[TAKEN])

    @property
    def ended(self) -> bool:
        """Whether the writer has ended."""
        return bool(self._words[ENDED])

    @property
    def dropped(self) -> int:
        """What the writer counted as lost."""
        return self._words[DROPPED]

    def mark_ended(self, ended: bool = True) -> None:
        """Say that nothing more will be put in, or that something will be after all."""
        self._fence()
        self._words[ENDED] = int(ended)

    def count_dropped(self, count: int) -> None:
        """Count something as lost."""
        self._words[DROPPED] += count

    def write_octets(self, *parts: Octets) -> bool:
        """Put in all of uint8[n] arrays, or nothing and give False where there is no room."""
        if sum(part.size for part in parts) > self.free_octets:
            return False
        at = self._words[WRITTEN]
        for part in parts:
            start = at % self._data.size
            first = min(part.size, self._data.size - start)
            self._data[start : start + first] = part[:first]
            self._data[: part.size - first] = part[first:]
            at += part.size
        self._fence()
        self._words[WRITTEN] = at
        return True

    def read_octets(self, octets: int) -> Octets:
        """Take out at most so many octets: a copy."""
        size = max(0, min(octets, self.available, self._data.size))
        self._fence()
        at = self.taken
        start = at % self._data.size
        taken = self._data[start : start + size].copy()
        if taken.size < size:
            taken = np.concatenate((taken, self._data[: size - taken.size]))
        self._fence()
        self._words[TAKEN] = at + size
        return taken
