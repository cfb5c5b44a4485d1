"""The limits of a driver: times, sizes and rates."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TypeAlias

Network: TypeAlias = IPv4Network | IPv6Network

LOOPBACK: tuple[Network, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
"""The loopback addresses."""


def source_of(host: str) -> str:
    """The source to count by: an IPv4 address, or the /64 that every IPv6 site has at least."""
    address = ip_address(host.partition("%")[0])
    if isinstance(address, IPv4Address):
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Network((address, 64), strict=False))


@dataclass(frozen=True, slots=True)
class TransportLimits:
    """Times in seconds, sizes in bytes, rates a second.

    `connections` bounds the accepted connections, `connections_per_source` those of one address
    (one /64 in IPv6), `datagram_flows` the UDP addresses kept.  `handshakes` may run at once, of
    them `handshakes_per_source` for one address (/64); further ones wait unread.  The limits per
    source do not apply to `trusted_sources`, such as a NAT or an SBC with thousands of clients.
    `accept_rate` and `accept_burst` admit new connections and new UDP addresses.
    """

    connect_timeout: float = 10.0
    attempt_delay: float = 0.25
    """Time until the next address of a host is tried, too (RFC 8305 section 5)."""
    handshake_timeout: float = 10.0
    fetch_timeout: float = 5.0
    tvs_timeout: float = 10.0
    write_timeout: float = 20.0
    first_byte_timeout: float = 60.0
    close_timeout: float = 2.0
    shutdown_timeout: float = 0.5
    """Time to wait for the peer's close_notify, which RFC 8446 section 6.1 does not demand."""
    write_buffer: int = 1 << 20
    handshakes: int = 64
    handshakes_per_source: int = 16
    handshake_patience: float = 0.5
    """How long a handshake keeps its slot: 16 of 256 connections, in sequence, take 8 s."""
    connections: int = 4096
    connections_per_source: int = 256
    trusted_sources: tuple[Network, ...] = ()
    datagram_flows: int = 4096
    accept_rate: float = 200.0
    accept_burst: int = 400

    def trusts(self, host: str) -> bool:
        """Whether the numeric `host` is one of the trusted sources."""
        if not self.trusted_sources:
            return False
        address = ip_address(host.partition("%")[0])
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self.trusted_sources)
