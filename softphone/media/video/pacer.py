"""Packets of big video frames spread over time, so that they do not fill a queue on the way.

A leaky bucket (RFC 8085 section 3 asks for no bursts).  No clock here.
"""

from __future__ import annotations

from collections import deque

BURST = 4
"""Packets that may leave at once."""
HEADROOM = 2.5
"""How much faster than the bit rate packets leave: a key frame is several frames' worth."""
SLOWEST = 300_000
"""Bits a second below which nothing is gained by waiting."""
MOST_OCTETS = 8 << 20
PACKET_OCTETS = 1200


class Pacer:
    """A queue of packets that leave at `HEADROOM` times `bitrate`, in bits a second."""

    def __init__(self, bitrate: int) -> None:
        self.bitrate = bitrate
        self.dropped = 0
        self._queue: deque[bytes] = deque()
        self._octets = 0
        self._free = 0.0
        """When the packets that have left would be through at the pace."""

    def queue_packet(self, packet: bytes) -> bool:
        """Queue a packet; False, and it is dropped, when the queue is full."""
        if self._octets + len(packet) > MOST_OCTETS:
            self.dropped += 1
            return False
        self._queue.append(packet)
        self._octets += len(packet)
        return True

    @property
    def _pace(self) -> float:
        """Octets a second."""
        return max(self.bitrate, SLOWEST) * HEADROOM / 8.0

    def due(self, *, now: float) -> list[bytes]:
        """The packets that may leave now."""
        ahead = BURST * PACKET_OCTETS / self._pace
        leaving = []
        while self._queue and self._free <= now + ahead:
            packet = self._queue.popleft()
            self._octets -= len(packet)
            self._free = max(self._free, now) + len(packet) / self._pace
            leaving.append(packet)
        return leaving

    def next_timer(self) -> float | None:
        """When the next packet may leave; None when none waits."""
        return self._free - BURST * PACKET_OCTETS / self._pace if self._queue else None

    def clear(self) -> None:
        """Drop what waits."""
        self._queue.clear()
        self._octets = 0
