"""Finds a domain's chat servers: SRV records for direct TLS and STARTTLS, merged.

RFC 6120 section 3.2, RFC 2782 and XEP-0368.  Whatever server is found, its certificate must contain
the domain of the JID.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from softphone.errors import ConfigurationError, TransportError
from softphone.sans_io import Entropy, Target, Transport
from softphone.sip.transport import DnsQuestion, Record, RecordType, SrvRecord, order_servers

__all__ = [
    "DIRECT_PORT",
    "STARTTLS_PORT",
    "SrvResolver",
    "TlsMode",
    "XmppServer",
    "configured_server",
    "find_servers",
]

DIRECT_PORT, STARTTLS_PORT = 5223, 5222


class TlsMode(StrEnum):
    """How TLS begins: with the first byte, or by STARTTLS.  There is no mode without TLS."""

    DIRECT = "direct"
    STARTTLS = "starttls"


@dataclass(frozen=True, slots=True)
class XmppServer:
    """The address of a server, and how TLS begins there."""

    target: Target
    mode: TlsMode


class SrvResolver(Protocol):
    """A DNS resolver that answers SRV queries."""

    async def query(self, question: DnsQuestion) -> Sequence[Record]:
        """Return the records that answer the question.  Raises TransportError."""


def configured_server(server: str, domain: str, mode: TlsMode) -> XmppServer:
    """Return the server that a configuration names as "host" or "host:port".

    The default port is 5223 for direct TLS and 5222 for STARTTLS.  Raises ConfigurationError.
    """
    host, colon, port = server.rpartition(":")
    if not colon or server.endswith("]"):
        host, port = server, str(DIRECT_PORT if mode is TlsMode.DIRECT else STARTTLS_PORT)
    host = host.strip("[]")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise ConfigurationError(f"im.server: {server!r} is not of the form host or host:port")
    return XmppServer(Target(Transport.TLS, host, int(port), domain), mode)


async def find_servers(
    domain: str, dns: SrvResolver, *, entropy: Entropy
) -> tuple[XmppServer, ...]:
    """Return the servers of a domain, in the order to try them.

    Without SRV records these are the domain itself at the ports 5223 and 5222.  Raises
    TransportError when the records declare that there is no server.
    """
    direct = await _servers(dns, f"_xmpps-client._tcp.{domain}", entropy)
    after = await _servers(dns, f"_xmpp-client._tcp.{domain}", entropy)
    if direct is None and after is None:
        return (
            configured_server(f"{domain}:{DIRECT_PORT}", domain, TlsMode.DIRECT),
            configured_server(f"{domain}:{STARTTLS_PORT}", domain, TlsMode.STARTTLS),
        )
    # XEP-0368 merges both record sets by priority; we try direct TLS first among equals.
    ranked = [(record.priority, 0, TlsMode.DIRECT, record) for record in direct or ()]
    ranked += [(record.priority, 1, TlsMode.STARTTLS, record) for record in after or ()]
    ranked.sort(key=lambda each: each[:2])
    found = tuple(
        XmppServer(Target(Transport.TLS, record.target, record.port, domain), mode)
        for _, _, mode, record in ranked
        if record.target not in ("", ".")
    )
    if not found:
        raise TransportError(f"{domain} has no chat server: its DNS says so")
    return found


async def _servers(dns: SrvResolver, name: str, entropy: Entropy) -> list[SrvRecord] | None:
    """Return the SRV records in the order of RFC 2782; None when there are none."""
    records = await dns.query(DnsQuestion(name, RecordType.SRV))
    servers = [record for record in records if isinstance(record, SrvRecord)]
    return order_servers(servers, entropy) if servers else None
