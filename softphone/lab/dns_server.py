"""The lab's DNS server: answers queries over UDP with given records, for service discovery.

Other names get NXDOMAIN, other types of a known name an empty answer; nothing is forwarded.
dnspython parses and builds the messages (RFC 1035, RFC 2782).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self, TypeAlias, cast

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from softphone.errors import TransportError
from softphone.sans_io import Address

logger = logging.getLogger("softphone.lab")

DISCOVERY_DOMAIN = "example.test"
"""The domain of the mail addresses of the lab's users."""
DISCOVERY_NODE = f"cucm.{DISCOVERY_DOMAIN}"
"""The name of the lab's call server in that domain."""

EDGE_NODE = f"edge.{DISCOVERY_DOMAIN}"
"""The name of the lab's edge server in that domain."""

Zone: TypeAlias = Mapping[tuple[str, str], Sequence[str]]
"""Records as in a zone file, by name (lower case, without the final dot) and type."""
_TTL = 60


def discovery_zone(uds_port: int, host: str) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return SRV, and A or AAAA, of `DISCOVERY_DOMAIN`: UDS is at `host`, an IP address."""
    family = "AAAA" if ":" in host else "A"
    return {
        (f"_cisco-uds._tcp.{DISCOVERY_DOMAIN}", "SRV"): (f"0 0 {uds_port} {DISCOVERY_NODE}.",),
        (DISCOVERY_NODE, family): (host,),
    }


def outside_zone(edge_port: int, host: str) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return the records of `DISCOVERY_DOMAIN` that users outside see: those of the edge."""
    family = "AAAA" if ":" in host else "A"
    return {
        (f"_collab-edge._tls.{DISCOVERY_DOMAIN}", "SRV"): (f"0 0 {edge_port} {EDGE_NODE}.",),
        (EDGE_NODE, family): (host,),
    }


class _Answers(asyncio.DatagramProtocol):
    """Answers each question with the records of the zone."""

    def __init__(self, server: LabDns) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not subclasses of asyncio's.
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        try:
            query = dns.message.from_wire(data)
            answer = self._server.answer(query)
        except dns.exception.DNSException as error:
            logger.info("no DNS question: %s", error)
            return
        if answer is not None and self._transport is not None:
            self._transport.sendto(answer, addr)


@dataclass(slots=True)
class LabDns:
    """An async context; `address` is where it listens once it is entered.

    `asked` records the name and type of the latest 1,000 questions.
    """

    zone: Zone
    host: str = "127.0.0.1"
    port: int = 0
    address: Address = ("", 0)
    asked: list[tuple[str, str]] = field(default_factory=list)
    _transport: asyncio.DatagramTransport | None = None

    async def __aenter__(self) -> Self:
        """Raises TransportError when the port is taken."""
        loop = asyncio.get_running_loop()
        try:
            self._transport, _ = await loop.create_datagram_endpoint(
                lambda: _Answers(self), (self.host, self.port)
            )
        except OSError as exc:
            raise TransportError(
                f"UDP {self.host} port {self.port} cannot be bound: {exc.strerror or exc}"
            ) from exc
        bound = self._transport.get_extra_info("sockname")
        self.address = (str(bound[0]), int(bound[1]))
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._transport is not None:
            self._transport.close()

    def answer(self, query: dns.message.Message) -> bytes | None:
        """Return the response in octets, None to no query of one question.  Raises DNSException."""
        if query.flags & dns.flags.QR or len(query.question) != 1:
            return None
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        del self.asked[:-1000]
        response = dns.message.make_response(query)
        response.flags |= dns.flags.AA | dns.flags.RA
        records = self.zone.get((name, kind), ())
        if records:
            response.answer.append(dns.rrset.from_text(question.name, _TTL, "IN", kind, *records))
        elif not any(known == name for known, _ in self.zone):
            response.set_rcode(dns.rcode.NXDOMAIN)
        return response.to_wire()
