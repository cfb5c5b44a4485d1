"""`PacketBatch`: a batch of packets as arrays, one row per packet.

A batch is a view of arrays that a socket batch (or a test) allocates once.  RTP, SRTP and RTCP
packets are read, written, protected and unprotected in place.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from softphone.media.arrays import count_nonzero
from softphone.srtp import SrtpBatch

SOCKADDR_OCTETS = 32
"""Octets of a padded socket address."""


class PacketBatch:
    """Up to `capacity` packets, of which the first `count` are in use.

    `data` uint8[capacity, width]; `length` int32[capacity], octets used; `port` int32[capacity],
    the key of the socket; `address` uint8[capacity, 32], the far end as a padded socket address;
    `arrival` float64[capacity], seconds; `row` intp[capacity], the stream's row or -1.
    `media` counts the leading packets that are RTP in a batch to be sent; RTCP follows.  `pointers`
    is what the kernel keeps of the arrays.
    """

    __slots__ = (
        "_cipher", "address", "arrival", "capacity", "count", "data", "length", "media", "pointers",
        "port", "row",
    )  # fmt: skip

    def __init__(
        self,
        data: npt.NDArray[np.uint8],
        length: npt.NDArray[np.int32],
        port: npt.NDArray[np.int32],
        address: npt.NDArray[np.uint8],
        arrival: npt.NDArray[np.float64],
    ) -> None:
        self.capacity = data.shape[0]
        self.data = data
        self.length = length
        self.port = port
        self.address = address
        self.arrival = arrival
        self.row = np.full(self.capacity, -1, dtype=np.intp)
        self.count = 0
        self.media = 0
        self.pointers: Any = None
        self._cipher: SrtpBatch | None = None

    @classmethod
    def allocate(cls, capacity: int, width: int = 1536) -> PacketBatch:
        """Return a batch with its own memory."""
        return cls(
            np.zeros((capacity, width), dtype=np.uint8),
            np.zeros(capacity, dtype=np.int32),
            np.zeros(capacity, dtype=np.int32),
            np.zeros((capacity, SOCKADDR_OCTETS), dtype=np.uint8),
            np.zeros(capacity, dtype=np.float64),
        )

    @property
    def cipher(self) -> SrtpBatch:
        """SRTP in place on this batch's memory; made on first use."""
        if self._cipher is None:
            self._cipher = SrtpBatch(self.data.ctypes.data, self.data.shape[1], self.capacity)
        return self._cipher

    def packet(self, index: int) -> bytes:
        """Return a copy of one packet's octets."""
        return self.data[index, : self.length[index]].tobytes()

    def append_packet(
        self, row: int, port: int, address: npt.NDArray[np.uint8], data: bytes
    ) -> bool:
        """Append one packet; return False if the batch is full or the packet too long."""
        at = self.count
        if at == self.capacity or len(data) > self.data.shape[1]:
            return False
        self.data[at, : len(data)] = np.frombuffer(data, dtype=np.uint8)
        self.length[at] = len(data)
        self.row[at] = row
        self.port[at] = port
        self.address[at] = address
        self.count = at + 1
        return True

    def drop_empty(self) -> None:
        """Remove packets of length 0, which must not be sent."""
        kept = int(count_nonzero(self.length[: self.count]))
        if kept == self.count:
            return
        keep = self.length[: self.count].nonzero()[0]
        for array in (self.data, self.length, self.port, self.address, self.arrival, self.row):
            array[:kept] = array[keep]
        self.media = int(np.searchsorted(keep, self.media))
        self.count = kept
