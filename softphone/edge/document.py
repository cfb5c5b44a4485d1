"""Parses the answer to `get_edge_config`, with bounds on size, depth and counts.

Elements may come in any order, and unknown ones are skipped.  What is named there is trusted for
nothing: edge servers are verified like the first one, and only allowed servers are reached inside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from softphone.discovery.records import ServiceRecord, ServiceTarget, is_host_name
from softphone.errors import EdgeError
from softphone.sip.event_packages.xml_document import XmlElement, XmlLimits, read_elements
from softphone.sip.message import MalformedMessage, parse_loose_route
from softphone.sip.transport import is_numeric

LARGEST = 1 << 18
"""The most octets of the document."""
_LIMITS = XmlLimits(octets=LARGEST, depth=12, elements=4_000, attributes=4_000)
_MOST_SERVERS = 16
_MOST_SERVICES = 32
_RECORDS = {record.service: record for record in ServiceRecord}


@dataclass(frozen=True, slots=True)
class EdgeConfiguration:
    """What an edge server says: the edges for each protocol, and the servers behind them.

    `route` is the Route of SIP requests, "" for none.  `records` are SRV answers as seen inside,
    best first; `file_servers` are the hosts of TFTP, `uds` is the user's own UDS server.
    """

    sip: tuple[ServiceTarget, ...] = ()
    xmpp: tuple[ServiceTarget, ...] = ()
    http: tuple[ServiceTarget, ...] = ()
    turn: tuple[ServiceTarget, ...] = ()
    route: str = ""
    records: Mapping[ServiceRecord, tuple[ServiceTarget, ...]] = field(default_factory=dict)
    file_servers: tuple[str, ...] = ()
    uds: tuple[ServiceTarget, ...] = ()

    @property
    def inside_hosts(self) -> tuple[str, ...]:
        """The hosts behind the edge that it names, each once."""
        named = [*self.uds, *(each for targets in self.records.values() for each in targets)]
        return tuple(dict.fromkeys([*(each.host for each in named), *self.file_servers]))


def parse_edge_configuration(data: bytes) -> EdgeConfiguration:
    """Parse the answer to `get_edge_config`.

    Raises EdgeError for an invalid document, and for one without SIP server or UDS server.
    """
    try:
        root = read_elements(data, _LIMITS)
    except MalformedMessage as error:
        raise EdgeError(f"the edge's configuration is not read: {error}") from error
    if root.local_name != "getEdgeConfigResponse":
        raise EdgeError(f"the edge sent {_line(root.local_name)[:40]!r} and no configuration")
    edges = root.find("edgeConfig") or XmlElement("", {})
    services = root.find("serviceConfig") or XmlElement("", {})
    found = EdgeConfiguration(
        sip=tuple(_servers(edges.find("sipEdgeServer"), 5061)),
        xmpp=tuple(_servers(edges.find("xmppEdgeServer"), 5222)),
        http=tuple(_servers(edges.find("httpEdgeServer"), 8443)),
        turn=tuple(_servers(edges.find("turnEdgeServer"), 3478)),
        route=_route(edges.text_at("sipRequest", "route")),
        records=_records(services),
        file_servers=_file_servers(services),
        uds=tuple(_servers(edges.find("userUdsServer"), 8443, numeric=True)),
    )
    if not found.uds:
        raise EdgeError("the edge's configuration names no UDS server of the user")
    if not found.sip:
        raise EdgeError("the edge's configuration names no edge server for SIP")
    return found


def _route(text: str) -> str:
    """Return a Route that can be used, "" for none.  Raises EdgeError."""
    if text:
        try:
            parse_loose_route(text)
        except MalformedMessage as error:
            raise EdgeError(f"the edge's Route cannot be used: {error.reason}") from error
    return text


def _servers(
    holder: XmlElement | None, port: int, *, numeric: bool = False
) -> Iterator[ServiceTarget]:
    """Yield the servers of an element, each once; `numeric`: an IP address will do.

    An edge is named in full, so that its certificate can name it.
    """
    seen: set[ServiceTarget] = set()
    for each in () if holder is None else holder.named("server"):
        host = each.text_at("address").lower().rstrip(".")
        at = _port(each.text_at("tlsPort") or each.text_at("port"), port)
        usable = is_host_name(host) or (numeric and is_numeric(host))
        if not at or not usable or len(seen) >= _MOST_SERVERS:
            continue
        target = ServiceTarget(host, at)
        if target not in seen:
            seen.add(target)
            yield target


def _records(services: XmlElement) -> dict[ServiceRecord, tuple[ServiceTarget, ...]]:
    found: dict[ServiceRecord, tuple[ServiceTarget, ...]] = {}
    for service in list(services.named("service"))[:_MOST_SERVICES]:
        record = _RECORDS.get(service.text_at("name"))
        if record is None or service.find("error") is not None:
            continue
        ranked = sorted(
            service.named("server"), key=lambda each: _port(each.text_at("priority"), 0) or 0
        )
        holder = XmlElement(service.name, {}, children=ranked)
        targets = tuple(_servers(holder, 8443, numeric=True))
        if targets:
            found[record] = targets
    return found


def _file_servers(services: XmlElement) -> tuple[str, ...]:
    hosts = [
        address.text.lower().rstrip(".")
        for service in list(services.named("service"))[:_MOST_SERVICES]
        if service.text_at("name") == "tftpServer"
        for address in service.named("address")
    ]
    usable = (host for host in hosts if is_host_name(host) or is_numeric(host))
    return tuple(dict.fromkeys(usable))[:_MOST_SERVERS]


def _port(text: str, default: int) -> int | None:
    """Return a port (or another number below 65,536); None for what is none."""
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        return None
    return int(text) if int(text) < 65536 else None


def _line(text: str) -> str:
    return "".join(each if each.isprintable() else " " for each in text).strip()
