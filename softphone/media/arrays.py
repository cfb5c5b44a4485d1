"""State arrays with one row a stream, declared once, and the memory that they stand in.

A class of state is an `ArrayGroup`: its columns are its layout, from which the arrays are made and
a row is put back to its defaults.  Only the group's own class writes its columns
(`tests/media/test_state_owners.py`); others read them and call its methods.
"""

from __future__ import annotations

import mmap
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar, Final, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

LARGE: Final = 65_536
"""Octets from which pages of their own are worth a call to the system."""

Kind = TypeVar("Kind", bound=np.generic)


def zeros(octets: int) -> NDArray[np.uint8]:
    """`octets` zeros, uint8[octets]; pages of them that are never touched take no memory.

    The C library keeps large pieces that are freed for later ones of their size.  Where calls come
    and go, with rings of a megabyte each and small things between them, it keeps ever more of
    them.  These pages go back to the system when their array does.

    They are small pages: NumPy asks for those of 2 MB from 4 MB on, and then one row of a bank
    takes the room of hundreds.
    """
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


@dataclass(frozen=True, slots=True)
class Column:
    """What an array of a group is: its type, the shape of a row, and the value of a new one.

    A side of `shape` is a number, or the name of a size that the group is made with.
    """

    dtype: np.dtype[Any]
    shape: tuple[int | str, ...]
    default: float


def column(kind: type[Kind], *shape: int | str, default: float = 0) -> NDArray[Kind]:
    """Declare an array of an `ArrayGroup`: `kind` [capacity, *shape], `default` at first."""
    # What the attribute is in an instance, as with `dataclasses.field`.
    return cast("NDArray[Kind]", Column(np.dtype(kind), shape, default))


class ArrayGroup:
    """Arrays of `capacity` rows, as the class declares them with `column`.

    Columns of one type, shape and default are slices of one block, in the order in which they are
    declared.
    """

    columns: ClassVar[Mapping[str, Column]]

    def __init_subclass__(cls) -> None:
        cls.columns = {name: each for name, each in vars(cls).items() if isinstance(each, Column)}
        for name in cls.columns:
            delattr(cls, name)

    def __init__(self, capacity: int, **sizes: int) -> None:
        self._blocks: dict[str, NDArray[Any]] = {}
        self._defaults: list[tuple[NDArray[Any], float]] = []
        for kind, count in Counter(self.columns.values()).items():
            row = (sizes[side] if isinstance(side, str) else side for side in kind.shape)
            shape = (count, capacity, *row)
            octets = int(np.prod(shape)) * kind.dtype.itemsize
            block = zeros(octets).view(kind.dtype).reshape(shape)
            if kind.default:
                block.fill(kind.default)
            names = [name for name, each in self.columns.items() if each == kind]
            for name, array in zip(names, block, strict=True):
                setattr(self, name, array)
                self._blocks[name] = block
                self._defaults.append((array, kind.default))

    def block(self, name: str) -> NDArray[Any]:
        """All columns like `name`, [n, capacity, ...], in the order in which they are declared."""
        return self._blocks[name]

    def reset_row(self, row: int) -> None:
        """Give a row its defaults."""
        for array, default in self._defaults:
            array[row] = default
