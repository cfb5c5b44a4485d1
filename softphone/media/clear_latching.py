"""Latching of clear RTP to a host that was not signaled (`StreamSpec.clear_latching`).

A peer with several addresses, or behind a NAT, sends from another address than its `c=` line.
Clear RTP does not prove its sender.  Latching to another host is therefore off by default, never
done on an SRTP stream, and limited to what an attacker can hardly guess: one source, within
`ADOPTION_TIME`, that sends `CONSECUTIVE` packets in sequence with an agreed payload type, before
the signaled host has sent anything.

RFC 4961 (symmetric RTP), RFC 7362 section 4 (latching and its dangers).
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
"""Sources watched at once; a further one replaces the one that has been silent for longest."""


class ClearLatching:
    """The candidate sources of one stream under one session description, received at `now`.

    Only hosts in `networks` may be adopted.  `packets_received` is the stream's number of valid
    packets at `now`; once it has grown, the signaled host has sent media and no source is adopted.
    """

    def __init__(self, networks: Sequence[str], *, now: float, packets_received: int) -> None:
        self._networks = [ip_network(network) for network in networks]
        self._until = now + ADOPTION_TIME
        self._packets_received = packets_received
        self._candidates: dict[Address, tuple[int, int, int]] = {}

    def is_over(self, *, now: float, packets_received: int) -> bool:
        """Return whether the time is over, or the signaled host has sent media."""
        return now > self._until or packets_received != self._packets_received

    def note_packet(self, source: Address, ssrc: int, sequence: int) -> bool:
        """Note a packet with an agreed payload type; return whether to adopt `source`."""
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
    """Return the candidates for a new session description, or None where no source is adopted.

    That is the case without `clear_latching` networks, without `symmetric`, under SRTP, and for
    an unspecified remote address (0.0.0.0, hold).
    """
    if not spec.clear_latching or not spec.symmetric or spec.secure:
        return None
    if ip_address(spec.remote[0].partition("%")[0]).is_unspecified:
        return None
    return ClearLatching(spec.clear_latching, now=now, packets_received=packets_received)
