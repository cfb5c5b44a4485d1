"""What a driver allows: times, sizes and rates."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TypeAlias

Network: TypeAlias = IPv4Network | IPv6Network

LOOPBACK: tuple[Network, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
"""The addresses of this machine only."""


def source_of(host: str) -> str:
    """What counts as one source: an IPv4 address, or the /64 that an IPv6 site gets at least."""
    address = ip_address(host.partition("%")[0])
    if isinstance(address, IPv4Address):
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Network((address, 64), strict=False))


@dataclass(frozen=True, slots=True)
class TransportLimits:
    """Times in seconds, sizes in bytes, rates a second.

    `connections` bounds the accepted ones, `connections_per_source` those of one address (of one
    /64 in IPv6), `datagram_flows` the UDP addresses remembered; `handshakes` are at work at once,
    `handshakes_per_source` of one address (/64), and further ones wait unread.  The limits of one
    source are lifted for `trusted_sources`, such as a NAT or an SBC with thousands of clients.
    `accept_rate` and `accept_burst` admit new connections and new UDP addresses.
    """

    connect_timeout: float = 10.0
    handshake_timeout: float = 10.0
    fetch_timeout: float = 5.0
    tvs_timeout: float = 10.0
    write_timeout: float = 20.0
    first_byte_timeout: float = 60.0
    close_timeout: float = 2.0
    shutdown_timeout: float = 0.5
    """For the peer's close_notify, which RFC 8446 section 6.1 does not have us wait for."""
    write_buffer: int = 1 << 20
    handshakes: int = 64
    handshakes_per_source: int = 16
    handshake_patience: float = 0.5
    """How long a handshake keeps its slot: 16 of 256 connections, one after the other, take 8 s."""
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
