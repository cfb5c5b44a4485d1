"""The look-up of a packet's row by its socket and source address.

A socket that serves one stream identifies the row; on a shared socket the source address does.
This module parses no RTP and authenticates nothing.  The row that it finds is a candidate:
`softphone.media.tick.receive` checks source, authentication and SSRC.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from softphone.media.arrays import count_nonzero
from softphone.media.bank.batch import PacketBatch

NOBODY = -1
SHARED = -2


class Demultiplexer:
    """The map from sockets and far-end addresses to rows.

    `control` bool[n], indexed by socket key, marks the sockets that carry RTCP only.
    """

    def __init__(self) -> None:
        self._row = np.full(1024, NOBODY, dtype=np.intp)
        self.control = np.zeros(1024, dtype=np.bool_)
        self._shared: dict[tuple[int, int], int] = {}
        self._names: dict[int, list[tuple[int, int]]] = {}
        # The names of `_shared` again, sorted, and their rows: the first `names` of each array.
        # Inserted and deleted in place, because calls come and go while thousands of others are
        # looked up.
        self._order = np.zeros(64, dtype=np.uint64)
        self._owners = np.zeros(64, dtype=np.intp)
        self.names = 0
        """The number of far ends on shared sockets."""

    def _grow(self, key: int) -> None:
        size = len(self._row)
        more = max(size, key + 1 - size)
        self._row = np.concatenate((self._row, np.full(more, NOBODY, dtype=np.intp)))
        self.control = np.concatenate((self.control, np.zeros(more, dtype=np.bool_)))

    def bind(self, key: int, row: int | None, *, control: bool) -> None:
        """Assign socket `key` to `row`, or (None) to many rows, identified by their far ends."""
        if key >= len(self._row):
            self._grow(key)
        self._row[key] = SHARED if row is None else row
        self.control[key] = control

    def unbind(self, key: int) -> None:
        """Forget socket `key`."""
        self._row[key] = NOBODY

    def add_remote(self, key: int, address: npt.NDArray[np.uint8], row: int) -> bool:
        """Assign the IPv4 `address` on the shared socket `key` to `row`; return False if another
        row has it."""
        name = (key, int(address.view(np.uint64)[0]))
        if self._shared.setdefault(name, row) != row:
            return False
        held = self._names.setdefault(row, [])
        if name not in held:
            held.append(name)
            self._insert(_mix(*name), row)
        return True

    def _insert(self, mixed: np.uint64, row: int) -> None:
        count = self.names
        if count == len(self._order):
            self._order = np.resize(self._order, 2 * count)
            self._owners = np.resize(self._owners, 2 * count)
        order, owners = self._order, self._owners
        at = int(order[:count].searchsorted(mixed))
        order[at + 1 : count + 1], owners[at + 1 : count + 1] = order[at:count], owners[at:count]
        order[at], owners[at] = mixed, row
        self.names = count + 1

    def remove_row(self, row: int) -> None:
        """Forget the far ends of `row` on shared sockets."""
        for name in self._names.pop(row, ()):
            del self._shared[name]
            order, owners, count = self._order, self._owners, self.names
            at = int(order[:count].searchsorted(_mix(*name)))
            while owners[at] != row:
                at += 1  # a socket whose key differs above KEY_BITS only
            order[at : count - 1], owners[at : count - 1] = (
                order[at + 1 : count],
                owners[at + 1 : count],
            )
            self.names = count - 1

    @property
    def tables(
        self,
    ) -> tuple[
        npt.NDArray[np.intp],
        npt.NDArray[np.bool_],
        npt.NDArray[np.uint64],
        npt.NDArray[np.intp],
    ]:
        """The rows and `control` by socket key, and the ascending names of far ends on shared
        sockets with their rows, `names` each; they are replaced when they are full."""
        return self._row, self.control, self._order, self._owners

    def assign(self, packets: PacketBatch) -> None:
        """Fill in `packets.row`; NOBODY (-1) for packets without a row."""
        count = packets.count
        rows = packets.row[:count]
        np.take(self._row, packets.port[:count], out=rows, mode="clip")
        shared = rows == SHARED
        many = count_nonzero(shared)
        if many == count:
            rows[:] = self._by_address(packets, slice(count))
        elif many:
            index = shared.nonzero()[0]
            rows[index] = self._by_address(packets, index)

    def _by_address(
        self, packets: PacketBatch, at: npt.NDArray[np.intp] | slice
    ) -> npt.NDArray[np.intp]:
        asked = packets.address.view(np.uint64)[at, 0] & ADDRESS_BITS
        asked |= packets.port[at].astype(np.uint64) & KEY_BITS
        if not self.names:
            return np.full(len(asked), NOBODY, dtype=np.intp)
        order = self._order[: self.names]
        found = order.searchsorted(asked)
        rows = self._owners[: self.names].take(found, mode="clip")
        rows[order.take(found, mode="clip") != asked] = NOBODY
        return rows


KEY_BITS = np.uint64(0xFFFF)
ADDRESS_BITS = np.uint64(0xFFFFFFFFFFFF0000)
"""The bits of port and IPv4 address; the 16 bits of the family below them hold the socket's key."""


def _mix(key: int, word: int) -> np.uint64:
    return np.uint64(word) & ADDRESS_BITS | np.uint64(key) & KEY_BITS
