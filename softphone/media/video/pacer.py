"""Spreads the packets of large video frames over time, to avoid filling queues in the network.

A leaky bucket (RFC 8085 section 3 asks for no bursts).  It reads no clock.
"""

from __future__ import annotations

from collections import deque

BURST = 4
"""Packets that may leave at once."""
HEADROOM = 2.5
"""The pace relative to the bit rate; a key frame has the size of several frames."""
SLOWEST = 300_000
"""The least pace in bits/s; a slower one gains nothing."""
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
        """The time at which the packets sent so far would have left at the pace."""

    def queue_packet(self, packet: bytes) -> bool:
        """Queue a packet; drop it and return False if the queue is full."""
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
        """Remove and return the packets that may leave now."""
        ahead = BURST * PACKET_OCTETS / self._pace
        leaving = []
        while self._queue and self._free <= now + ahead:
            packet = self._queue.popleft()
            self._octets -= len(packet)
            self._free = max(self._free, now) + len(packet) / self._pace
            leaving.append(packet)
        return leaving

    def next_timer(self) -> float | None:
        """The time at which the next packet may leave; None if the queue is empty."""
        return self._free - BURST * PACKET_OCTETS / self._pace if self._queue else None

    def clear(self) -> None:
        """Drop all queued packets."""
        self._queue.clear()
        self._octets = 0
