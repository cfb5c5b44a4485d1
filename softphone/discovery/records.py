"""Chooses the SRV records to query in a domain, and decides by them whether the user is inside.

The order of the records is fixed, whichever answer comes first: records for the inside take
precedence over the edge's.  The servers of one record are in the order of RFC 2782.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from softphone.errors import ConfigurationError
from softphone.sans_io import Entropy
from softphone.sip.transport import DnsQuestion, RecordType, SrvRecord, is_numeric, order_servers

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_LONGEST_NAME = 253


class ServiceRecord(StrEnum):
    """An SRV record of service discovery; the value is its name before the domain."""

    CISCO_UDS = "_cisco-uds._tcp"
    CUP_LOGIN = "_cuplogin._tcp"
    COLLAB_EDGE = "_collab-edge._tls"

    @property
    def service(self) -> str:
        """The service label, as an SRVName has it (RFC 4985): "_cisco-uds"."""
        return self.value.partition(".")[0]


class ExcludedService(StrEnum):
    """A service that a configuration leaves out (ServiceDiscoveryExcludedServices)."""

    WEBEX = "WEBEX"
    CUCM = "CUCM"
    CUP = "CUP"


class ServicePath(StrEnum):
    """Where the user is, by the records: inside at UDS or IM and Presence, outside, or unknown."""

    UDS = "inside"
    IM_AND_PRESENCE = "inside, IM and Presence only"
    EDGE = "outside"
    NONE = "unknown"


RECORD_ORDER: Mapping[ServiceRecord, ServicePath] = {
    ServiceRecord.CISCO_UDS: ServicePath.UDS,
    ServiceRecord.CUP_LOGIN: ServicePath.IM_AND_PRESENCE,
    ServiceRecord.COLLAB_EDGE: ServicePath.EDGE,
}
"""The records by precedence, and where the user is if one has servers."""
_EXCLUDED_BY = {
    ServiceRecord.CISCO_UDS: ExcludedService.CUCM,
    ServiceRecord.CUP_LOGIN: ExcludedService.CUP,
}


@dataclass(frozen=True, slots=True)
class ServiceTarget:
    """A server that a record or a document names."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    def url(self, path: str) -> str:
        """Return the https: URL of a path of this server."""
        return f"https://{self.host}:{self.port}{path}"


def parse_domain(text: str) -> str:
    """Return a domain in lower case and A-labels.  Raises ConfigurationError.

    A domain of one label is refused: every server of a top-level domain would be "inside" it.
    """
    try:
        domain = text.strip().rstrip(".").encode("idna").decode("ascii").lower()
    except UnicodeError:
        domain = ""
    if not is_host_name(domain) or "." not in domain:
        raise ConfigurationError(f"{text!r} is no domain: expected a name such as example.com")
    return domain


def is_host_name(text: str) -> bool:
    """Whether a text, in lower case, is a host name, and no IP address."""
    named = len(text) <= _LONGEST_NAME and _HOST.fullmatch(text) is not None
    return named and not is_numeric(text) and not text.rpartition(".")[2].isdigit()


def is_within(host: str, domain: str) -> bool:
    """Whether a host is in a domain: its name is the domain, or ends with a dot and the domain."""
    host = host.rstrip(".").lower()
    return host == domain or host.endswith(f".{domain}")


def excluded_records(excluded: Collection[ExcludedService]) -> frozenset[ServiceRecord]:
    """Return the records that are not queried: all of them if every service is excluded."""
    if set(ExcludedService) <= set(excluded):
        return frozenset(ServiceRecord)
    return frozenset(record for record, by in _EXCLUDED_BY.items() if by in excluded)


def question_of(record: ServiceRecord, domain: str) -> DnsQuestion:
    """Return the DNS question of a record in a domain."""
    return DnsQuestion(f"{record.value}.{domain}", RecordType.SRV)


@dataclass(frozen=True, slots=True)
class RecordAnswer:
    """The servers of one record, best first, and the names that cannot be used."""

    targets: tuple[ServiceTarget, ...] = ()
    unusable: tuple[str, ...] = ()


def read_answer(records: Sequence[object], entropy: Entropy) -> RecordAnswer:
    """Read the answer to a question, in the order of RFC 2782.

    A server that is named by an IP address is unusable: no certificate could name it by the
    domain's rules, and servers are to be configured by their full names.
    """
    ordered = order_servers([each for each in records if isinstance(each, SrvRecord)], entropy)
    targets: dict[ServiceTarget, None] = {}
    unusable: list[str] = []
    for each in ordered:
        host = each.target.rstrip(".").lower()
        if is_host_name(host) and 0 < each.port < 65536:
            targets[ServiceTarget(host, each.port)] = None
        else:
            unusable.append(f"{host[:_LONGEST_NAME]}:{each.port}")
    return RecordAnswer(tuple(targets), tuple(unusable))


def choose_path(found: Mapping[ServiceRecord, Sequence[ServiceTarget]]) -> ServicePath:
    """Return where the user is by the first record of `RECORD_ORDER` that has servers."""
    for record, path in RECORD_ORDER.items():
        if found.get(record):
            return path
    return ServicePath.NONE
