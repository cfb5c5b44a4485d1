"""A bounded lock-free ring of octets with one writer and one reader, in one or two processes.

The shared memory is anonymous (memfd_create, Linux only): the system frees it when the last
process that uses it ends.  A local ring is a plain array.
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
    """Return a descriptor of `octets` of anonymous memory.  Raises OSError."""
    descriptor = os.memfd_create("softphone-media", os.MFD_CLOEXEC)
    try:
        os.ftruncate(descriptor, octets)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def map_memory(descriptor: int) -> mmap.mmap:
    """Map the memory of a descriptor, which may be closed afterwards.

    Before Python 3.13, a duplicate of the descriptor stays open as long as the mapping exists.
    """
    if sys.version_info >= (3, 13):
        return mmap.mmap(descriptor, 0, trackfd=False)
    return mmap.mmap(descriptor, 0)


class SharedRing:
    """A ring of octets; one end writes, the other reads.

    The writer sets `ended` (no more octets follow) and `dropped` (its count of what it lost).  The
    reader sets `confirmed`: the octets since the beginning that have been used, such as sent.
    """

    def __init__(self, memory: int | Octets) -> None:
        """Use the memory of a descriptor, which may be closed afterwards, or a local array.

        A local array, uint8[n] of zeros, is for both ends in one thread.
        """
        # Read several times a frame: Python integers take a tenth of the time of NumPy's.
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
        """Return a new shared ring of `octets`, and its descriptor.  Raises OSError."""
        descriptor = shared_memory(HEADER + octets)
        return cls(descriptor), descriptor

    @classmethod
    def local(cls, octets: int) -> Self:
        """Return a new ring of `octets` for both ends in this thread."""
        # Zero pages take no memory until they are written.
        return cls(zeros(octets))

    def _fence(self) -> None:
        # A full memory barrier on every processor: stores before a lock's release and accesses
        # after its acquisition are not reordered across it.
        if self._lock is None:
            return
        with self._lock:
            pass
        with self._lock:
            pass

    @property
    def available(self) -> int:
        """Octets that can be read."""
        return self._words[WRITTEN] - max(self._words[TAKEN], self._words[FLUSHED])

    @property
    def written(self) -> int:
        """Octets written since the beginning."""
        return self._words[WRITTEN]

    @property
    def taken(self) -> int:
        """Octets read or flushed since the beginning."""
        return max(self._words[TAKEN], self._words[FLUSHED])

    @property
    def confirmed(self) -> int:
        """Octets since the beginning that the reader has confirmed."""
        return self._words[CONFIRMED]

    def start_at(self, octets: int) -> None:
        """Start the counts at `octets`; call it before the first write."""
        self._words[WRITTEN] = self._words[TAKEN] = self._words[CONFIRMED] = octets

    def flush(self) -> int:
        """Make the reader skip all unread octets, as the writer; return their number."""
        left = self.available
        self._fence()
        self._words[FLUSHED] = self._words[WRITTEN]
        self._words[FLUSHES] += 1
        return left

    @property
    def flushes(self) -> int:
        """How often the ring was flushed."""
        return self._words[FLUSHES]

    @property
    def free_octets(self) -> int:
        """Octets that can be written."""
        # Flushed octets occupy the ring until the reader skips them.
        return self._data.size - (self._words[WRITTEN] - self._words[TAKEN])

    @property
    def ended(self) -> bool:
        """Whether the writer has ended."""
        return bool(self._words[ENDED])

    @property
    def dropped(self) -> int:
        """The writer's count of what it lost (samples, for audio)."""
        return self._words[DROPPED]

    def mark_ended(self, ended: bool = True) -> None:
        """Set or clear the end: whether the writer writes nothing more."""
        self._fence()
        self._words[ENDED] = int(ended)

    def count_dropped(self, count: int) -> None:
        """Add to the writer's count of what it lost."""
        self._words[DROPPED] += count

    def write_octets(self, *parts: Octets) -> bool:
        """Write all uint8[n] arrays; write nothing and return False if they do not fit."""
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
        """Read at most `octets`; return a copy."""
        # For each frame of each call: every word is read once.
        words, data, shared = self._words, self._data, self._lock is not None
        taken, flushed, written = words[TAKEN], words[FLUSHED], words[WRITTEN]
        at = taken if taken > flushed else flushed
        octets = max(0, min(octets, written - at, data.size))
        if shared:
            self._fence()
        start = at % data.size
        found = data[start : start + octets].copy()
        if found.size < octets:
            found = np.concatenate((found, data[: octets - found.size]))
        if shared:
            self._fence()
        words[TAKEN] = at + octets
        return found

    def confirm_taken(self, held: int) -> bool:
        """Confirm, as the reader, all that was taken but the last `held` octets, and those too if
        nothing follows; return whether there is something to read."""
        words = self._words
        taken, flushed = words[TAKEN], words[FLUSHED]
        at = taken if taken > flushed else flushed
        more = words[WRITTEN] - at > 1
        done = at - held if more else at
        if done > words[CONFIRMED]:
            words[CONFIRMED] = done
        return more
