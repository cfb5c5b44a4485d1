"""Media in clear from a host that was not signaled: when it is adopted, once (`clear_latching`).

A peer with several addresses, or behind a NAT, sends from elsewhere than its `c=` line says.
Nothing proves that in clear, so that it is off by default, never done for a call that must be
SRTP, and bound to what a stranger can hardly hit: one source, a short time, packets that follow
each other and have an agreed payload type.  RFC 4961 (symmetric RTP), RFC 7362 section 4 (latching
and its dangers).
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from typing import Final

from softphone.media.interface import StreamSpec
from softphone.sans_io import Address

ADOPTION_TIME: Final = 5.0
"""Seconds after a description within which a source may be adopted."""

CONSECUTIVE: Final = 5
"""Packets in sequence that a source has to send."""

MOST_CANDIDATES: Final = 64
"""Sources that are watched at once; beyond, the one that was silent for longest gives way."""


class ClearLatching:
    """The candidates of one stream under one session description, which came at `now`.

    Hosts of `networks` may be adopted.  `packets_received` is how many valid packets the stream
    had by then: once there are more, the signaled host has spoken, and nobody is adopted.
    """

    def __init__(self, networks: Sequence[str], *, now: float, packets_received: int) -> None:
        self._networks = [ip_network(network) for network in networks]
        self._until = now + ADOPTION_TIME
        self._packets_received = packets_received
        self._candidates: dict[Address, tuple[int, int, int]] = {}

    def is_over(self, *, now: float, packets_received: int) -> bool:
        """Whether nobody will be adopted any more."""
        return now > self._until or packets_received != self._packets_received

    def note_packet(self, source: Address, ssrc: int, sequence: int) -> bool:
        """Note a packet of an agreed payload type; whether `source` is to be adopted."""
        address = ip_address(source[0].partition("%")[0])
        if not any(address in network for network in self._networks):
            return False
        follows = (ssrc, (sequence - 1) & 0xFFFF)
        before = self._candidates.pop(source, None)
        count = before[2] + 1 if before is not None and before[:2] == follows else 1
        if len(self._candidates) >= MOST_CANDIDATES:
            del self._candidates[next(iter(self._candidates))]
        self._candidates[source] = (ssrc, sequence, count)
        return count >= CONSECUTIVE


def start_clear_latching(
    spec: StreamSpec, *, now: float, packets_received: int
) -> ClearLatching | None:
    """What a stream begins with under a new session description; None where nobody is adopted:
    the setting, SRTP, or a far end without a place (hold's 0.0.0.0) leaves nothing to adopt."""
    if not spec.clear_latching or not spec.symmetric or spec.secure:
        return None
    if ip_address(spec.remote[0].partition("%")[0]).is_unspecified:
        return None
    return ClearLatching(spec.clear_latching, now=now, packets_received=packets_received)
