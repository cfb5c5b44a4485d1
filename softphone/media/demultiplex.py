"""Whose packet is this: from (socket, source address) to a row.

A socket that serves one stream names its row by itself; on a shared socket the source address
does.  Knows no RTP, and trusts nothing: what is found here is a candidate only.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from softphone.media.batch import PacketBatch

__all__ = ["Demultiplexer"]

NOBODY = -1
SHARED = -2


class Demultiplexer:
    """The map from sockets and far ends to rows.

    `control` bool[n] tells, by key, the sockets that carry RTCP only.
    """

    def __init__(self) -> None:
        self._row = np.full(1024, NOBODY, dtype=np.int32)
        self.control = np.zeros(1024, dtype=np.bool_)
        self._shared: dict[tuple[int, int], int] = {}
        self._names: dict[int, list[tuple[int, int]]] = {}
        self._sorted: tuple[npt.NDArray[np.uint64], npt.NDArray[np.int32]] | None = None

    def _grow(self, key: int) -> None:
        size = len(self._row)
        if key < size:
            return
        more = max(size, key + 1 - size)
        self._row = np.concatenate((self._row, np.full(more, NOBODY, dtype=np.int32)))
        self.control = np.concatenate((self.control, np.zeros(more, dtype=np.bool_)))

    def bind(self, key: int, row: int | None, *, control: bool) -> None:
        """Say that socket `key` serves `row` alone, or (None) many rows by their far ends."""
        self._grow(key)
        self._row[key] = SHARED if row is None else row
        self.control[key] = control

    def unbind(self, key: int) -> None:
        """Forget socket `key`."""
        self._row[key] = NOBODY

    def add(self, key: int, address: npt.NDArray[np.uint8], row: int) -> bool:
        """Say that on the shared socket `key`, IPv4 `address` is `row`'s; False if it is taken."""
        name = (key, int(address.view(np.uint64)[0]))
        if self._shared.setdefault(name, row) != row:
            return False
        self._names.setdefault(row, []).append(name)
        self._sorted = None
        return True

    def remove(self, row: int) -> None:
        """Forget the far ends of `row` on shared sockets."""
        for name in self._names.pop(row, ()):
            self._shared.pop(name, None)
            self._sorted = None

    def assign(self, packets: PacketBatch) -> None:
        """Fill in `packets.row`; NOBODY (-1) where nobody is known."""
        count = packets.count
        rows = packets.row[:count]
        np.take(self._row, packets.port[:count], out=rows, mode="clip")
        shared = np.flatnonzero(rows == SHARED)
        if len(shared):
            rows[shared] = self._by_address(packets, shared)

    def _by_address(
        self, packets: PacketBatch, index: npt.NDArray[np.intp]
    ) -> npt.NDArray[np.int32]:
        if not self._shared:
            return np.full(len(index), NOBODY, dtype=np.int32)
        if self._sorted is None:
            names = np.array([_mix(*name) for name in self._shared], dtype=np.uint64)
            order = np.argsort(names)
            owners = np.fromiter(self._shared.values(), dtype=np.int32, count=len(names))
            self._sorted = names[order], owners[order]
        names, owners = self._sorted
        words = packets.address.view(np.uint64)[index, 0]
        asked = (words & ADDRESS_BITS) | packets.port[index].astype(np.uint64) & KEY_BITS
        at = np.minimum(np.searchsorted(names, asked), len(names) - 1)
        return np.where(names[at] == asked, owners[at], NOBODY).astype(np.int32)


KEY_BITS = np.uint64(0xFFFF)
ADDRESS_BITS = np.uint64(0xFFFFFFFFFFFF0000)
"""Port and IPv4 address; the family's 16 bits below give way to the socket's key."""


def _mix(key: int, word: int) -> int:
    return word & int(ADDRESS_BITS) | key & int(KEY_BITS)
