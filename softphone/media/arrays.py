"""State arrays with one row per stream, and their memory.

A state class derives from `ArrayGroup` and declares its arrays with `column`.  The base class
allocates the arrays and resets single rows to their defaults.  Only the class itself writes its
columns (`tests/media/test_state_owners.py`); others read them and call its methods.
"""

from __future__ import annotations

import mmap
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar, Final, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

try:
    from numpy._core.multiarray import count_nonzero as _count_nonzero
except ImportError:  # the name is private: another NumPy may have it elsewhere
    from numpy import count_nonzero as _count_nonzero

count_nonzero: Callable[[NDArray[Any]], int] = _count_nonzero
"""Counts the nonzero elements of a whole array, like `np.count_nonzero` but ten times faster.

NumPy wraps its C function in two Python calls.  A frame evaluates fifty conditions on a few rows
each, and those Python calls were a fifth of all that a phone call causes
(`bench/trees/scripted_call.py`).
"""

LARGE: Final = 65_536
"""Size in octets from which an array gets its own memory mapping."""

Kind = TypeVar("Kind", bound=np.generic)


def zeros(octets: int) -> NDArray[np.uint8]:
    """Return zeros, uint8[octets]; pages that are never touched take no memory.

    From `LARGE` octets on, the array is an anonymous memory mapping, which returns to the system
    when the array is freed.  The C library keeps large freed blocks for reuse instead; with calls
    that come and go, rings of a megabyte and small objects between them, its heap keeps growing.

    Huge pages are turned off.  NumPy requests pages of 2 MB for arrays of 4 MB and more, and one
    touched row would then occupy the memory of hundreds.
    """
    if octets < LARGE:
        return np.zeros(octets, dtype=np.uint8)
    if hasattr(mmap, "MAP_PRIVATE"):
        memory = mmap.mmap(-1, octets, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    else:
        memory = mmap.mmap(-1, octets)
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        with suppress(OSError):  # EINVAL on a kernel without huge pages
            memory.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(memory, dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class Column:
    """The declaration of one array of a group: dtype, shape of a row, and default value.

    A dimension in `shape` is a number, or the name of a keyword argument (`sizes`) of the group.
    """

    dtype: np.dtype[Any]
    shape: tuple[int | str, ...]
    default: float


def column(kind: type[Kind], *shape: int | str, default: float = 0) -> NDArray[Kind]:
    """Declare an array of an `ArrayGroup`: `kind` [capacity, *shape], filled with `default`."""
    # The cast gives the type of the instance attribute, as `dataclasses.field` does.
    return cast("NDArray[Kind]", Column(np.dtype(kind), shape, default))


class ArrayGroup:
    """A group of arrays of `capacity` rows, declared in the class body with `column`.

    Columns of the same dtype, shape and default are slices of one block, in declaration order.
    """

    columns: ClassVar[Mapping[str, Column]]

    def __init_subclass__(cls) -> None:
        cls.columns = {name: each for name, each in vars(cls).items() if isinstance(each, Column)}
        for name in cls.columns:
            delattr(cls, name)

    def __init__(self, capacity: int, **sizes: int) -> None:
        self._blocks: dict[str, NDArray[Any]] = {}
        self._resets: list[tuple[NDArray[Any], float]] = []
        """For each block [capacity, n, ...], a view indexed by row, and the default value."""
        for kind, count in Counter(self.columns.values()).items():
            row = (sizes[side] if isinstance(side, str) else side for side in kind.shape)
            shape = (count, capacity, *row)
            octets = int(np.prod(shape)) * kind.dtype.itemsize
            block = zeros(octets).view(kind.dtype).reshape(shape)
            if kind.default:
                block.fill(kind.default)
            self._resets.append((block.swapaxes(0, 1), kind.default))
            names = [name for name, each in self.columns.items() if each == kind]
            for name, array in zip(names, block, strict=True):
                setattr(self, name, array)
                self._blocks[name] = block

    def block(self, name: str) -> NDArray[Any]:
        """Return all columns declared like `name`, [n, capacity, ...], in declaration order."""
        return self._blocks[name]

    def reset_row(self, row: int) -> None:
        """Reset all columns of `row` to their defaults."""
        for rows, default in self._resets:
            rows[row] = default
