"""Keeps sent packets for a while, to send them again for a NACK (RFC 4585).

Packets are resent unchanged, under SRTP as the same octets, so that no packet index is used twice
with other contents (RFC 3711 section 3.3.1).  A budget bounds what a far end can request.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

MOST_PACKETS = 1024
LONGEST = 1.0
"""Seconds after which a packet is too old to be useful."""
AGAIN = 0.03
"""Seconds within which a repeated request is ignored."""
SHARE = 0.5
"""The share of the bit rate that may be resent."""


@dataclass(slots=True)
class _SentPacket:
    packet: bytes
    sent: float


class RetransmissionCache:
    """The packets last sent, by 16-bit sequence number; `bitrate` is the sent rate in bits/s."""

    def __init__(self, bitrate: int) -> None:
        self.bitrate = bitrate
        self.resent = 0
        self.refused = 0
        self._kept: OrderedDict[int, _SentPacket] = OrderedDict()
        self._budget = 0.0
        self._counted: float | None = None

    def store_packet(self, sequence_number: int, packet: bytes, *, now: float) -> None:
        """Keep a packet that was sent."""
        self._kept.pop(sequence_number, None)
        self._kept[sequence_number] = _SentPacket(packet, now)
        if len(self._kept) > MOST_PACKETS:
            self._kept.popitem(last=False)

    def clear(self) -> None:
        """Drop all packets, since they belong to an earlier SSRC of ours."""
        self._kept.clear()

    def packets_for_nack(self, lost: tuple[int, ...], *, now: float) -> list[bytes]:
        """Return the packets to resend for a NACK: those still kept, within the budget."""
        rate = SHARE * self.bitrate / 8.0
        spent = 1.0 if self._counted is None else now - self._counted
        self._budget, self._counted = min(rate, self._budget + rate * spent), now
        again = []
        for number in dict.fromkeys(lost):
            kept = self._kept.get(number)
            if kept is None or not AGAIN <= now - kept.sent <= LONGEST:
                continue
            if len(kept.packet) > self._budget:
                self.refused += 1
                continue
            self._budget -= len(kept.packet)
            kept.sent = now
            self.resent += 1
            again.append(kept.packet)
        return again
