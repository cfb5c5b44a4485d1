"""Where a request goes: transport, address and port from a URI and DNS (RFC 3263, RFC 7984).

`locate` makes a `Lookup`, which says what it wants to ask of DNS, takes the answers and ends with
an ordered tuple of `Target`s; `Failover` walks them.  Nothing is asked here: `softphone.net.dns`
does that.  The reference identity of the server's certificate is always the domain of the URI,
never a name that came out of DNS (RFC 5922 section 7).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from softphone.machine import Entropy, Target, Transport
from softphone.sip.uri import SipUri

__all__ = [
    "AddressRecord",
    "Failover",
    "Lookup",
    "LookupPolicy",
    "NaptrRecord",
    "Question",
    "Record",
    "RecordType",
    "SrvRecord",
    "default_port",
    "is_numeric",
    "locate",
]

MAXIMUM_SERVICES = 16
"""NAPTR records of one answer that are followed."""
MAXIMUM_SERVERS = 32
"""SRV records of one answer that are followed."""
MAXIMUM_TARGETS = 64
"""Targets that one look-up gives at most."""


class RecordType(StrEnum):
    """The DNS record types that RFC 3263 uses."""

    NAPTR = "NAPTR"
    SRV = "SRV"
    A = "A"
    AAAA = "AAAA"


@dataclass(frozen=True, slots=True)
class Question:
    """One question to DNS; `name` has no final dot."""

    name: str
    type: RecordType


@dataclass(frozen=True, slots=True)
class NaptrRecord:
    """A NAPTR record (RFC 3403 section 4.1)."""

    order: int
    preference: int
    flags: str
    service: str
    replacement: str
    regexp: str = ""


@dataclass(frozen=True, slots=True)
class SrvRecord:
    """An SRV record (RFC 2782); `target` "" or "." says that there is no such service."""

    priority: int
    weight: int
    port: int
    target: str


@dataclass(frozen=True, slots=True)
class AddressRecord:
    """An A or AAAA record."""

    address: str


Record: TypeAlias = NaptrRecord | SrvRecord | AddressRecord


@dataclass(frozen=True, slots=True)
class LookupPolicy:
    """What may be used.

    `transports` are allowed, in order of preference where DNS states none.  `families` are asked
    for and used in this order (RFC 7984 section 4.1 leaves the order to the host's policy).
    `server_name` replaces the URI's domain as reference identity; `credential` is put into every
    target.
    """

    transports: tuple[Transport, ...] = (Transport.TLS, Transport.TCP, Transport.UDP)
    families: tuple[RecordType, ...] = (RecordType.A, RecordType.AAAA)
    server_name: str | None = None
    credential: str = ""


class Lookup:
    """One look-up under way.

    `wanted` are the questions to ask now, all at once if one likes; `answer` takes each answer;
    when nothing is wanted any more, `targets` is complete, and `failure` says why it is empty.
    """

    @property
    def wanted(self) -> tuple[Question, ...]:
        """The questions that wait for an answer; () when the look-up is done."""

    def answer(self, question: Question, records: Sequence[Record]) -> None:
        """Take the answer to a question; () is "no such name" or "no such data"."""

    @property
    def done(self) -> bool:
        """Whether nothing is wanted any more."""

    @property
    def targets(self) -> tuple[Target, ...]:
        """Where to send, best first, addresses only.  Empty until `done`, or on failure."""

    @property
    def failure(self) -> str | None:
        """Why there is no target, as a sentence, once the look-up is done."""


def locate(uri: SipUri, *, entropy: Entropy, policy: LookupPolicy | None = None) -> Lookup:
    """Start the look-up of `uri` (RFC 3263 section 4).

    `entropy` draws SRV servers by weight.  A URI whose transport the policy forbids, or sips over
    UDP, gives a look-up that is done and has a `failure`.
    """


class Failover:
    """Walks targets on failure (RFC 3263 section 4.3)."""

    def __init__(self, targets: Sequence[Target]) -> None:
        self._targets = tuple(targets)

    def choose(self, *, now: float) -> Target | None:
        """The best target that is not out of use at `now`; None when all are."""

    def failed(self, target: Target, *, now: float, retry_after: float = 0.0) -> None:
        """Put a target out of use: for `retry_after` seconds (a 503), or until all have failed."""

    def succeeded(self, target: Target) -> None:
        """Stay with this target while it works."""
