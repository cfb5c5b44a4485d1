"""Server location: transport, address and port from a URI and DNS (RFC 3263, RFC 7984).

`locate_server` returns a `ServerLookup`, which lists its DNS questions, takes the answers and
yields an ordered tuple of `Target`s; `Failover` chooses among them.  `softphone.net.dns` sends the
questions.  The reference identity for the server's certificate is the domain of the URI (or
`LookupPolicy.server_name`), never a name from DNS (RFC 5922 section 7).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import accumulate
from typing import TypeAlias

from softphone.sans_io import Entropy, Target, Transport
from softphone.sip.message import SipUri

MAXIMUM_SERVICES = 16
"""The number of NAPTR records used from one answer."""
MAXIMUM_SERVERS = 32
"""The number of SRV records used from one answer."""
MAXIMUM_TARGETS = 64
"""The number of targets that one look-up returns at most."""
LONGEST_CLOSED = 3600.0
"""The most seconds for which a Retry-After keeps requests away from a target."""


class RecordType(StrEnum):
    """The DNS record types that RFC 3263 uses."""

    NAPTR = "NAPTR"
    SRV = "SRV"
    A = "A"
    AAAA = "AAAA"


@dataclass(frozen=True, slots=True)
class DnsQuestion:
    """One DNS question; `name` has no final dot."""

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
    """An SRV record (RFC 2782); the target "" or "." means that the service does not exist."""

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
    """The local policy of a look-up.

    `transports` are the allowed ones, in order of preference where DNS states none.  `families`
    are queried and used in this order (RFC 7984 section 4.1 leaves the order to the host's
    policy).  `server_name` replaces the URI's domain as reference identity; `credential` is copied
    into every target.
    """

    transports: tuple[Transport, ...] = (Transport.TLS, Transport.TCP, Transport.UDP)
    families: tuple[RecordType, ...] = (RecordType.A, RecordType.AAAA)
    server_name: str | None = None
    credential: str = ""


_SERVICES = {
    "sips+d2t": Transport.TLS,
    "sip+d2t": Transport.TCP,
    "sip+d2u": Transport.UDP,
}
_LABELS = {
    Transport.TLS: "_sips._tcp",
    Transport.TCP: "_sip._tcp",
    Transport.UDP: "_sip._udp",
}


def default_port(transport: Transport) -> int:
    """Return 5061 for TLS, else 5060 (RFC 3261 section 19.1.2)."""
    return 5061 if transport is Transport.TLS else 5060


@lru_cache(maxsize=1024)
def is_numeric(host: str) -> bool:
    """Whether a host is an IPv4 or IPv6 address (RFC 3261 section 19.1.1)."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class _ServerCandidate:
    """One server found by a look-up; `host` may be a name that is not yet resolved."""

    transport: Transport
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class _LookupResult:
    """The result of a look-up; `failure` says why `targets` is empty.

    `unknown`: DNS has no address.
    """

    targets: tuple[Target, ...] = ()
    failure: str | None = None
    unknown: bool = False


_Answers: TypeAlias = dict[DnsQuestion, tuple[Record, ...]]
_Places: TypeAlias = Generator[tuple[DnsQuestion, ...], _Answers, list[_ServerCandidate]]
_Search: TypeAlias = Generator[tuple[DnsQuestion, ...], _Answers, _LookupResult]


class ServerLookup:
    """One look-up in progress; made by `locate_server`.

    Ask the questions in `wanted`, in parallel if you like, and pass each answer to `add_answer`.
    Further questions may follow.  When `wanted` is empty, the look-up is done: `targets` is
    complete, and `failure` says why it is empty.
    """

    def __init__(self, search: _Search) -> None:
        self._search = search
        self._wanted: dict[DnsQuestion, None] = {}
        self._answers: _Answers = {}
        self._outcome = _LookupResult()
        self._advance(None)

    @property
    def wanted(self) -> tuple[DnsQuestion, ...]:
        """The questions without an answer; () when the look-up is done."""
        return tuple(self._wanted)

    @property
    def done(self) -> bool:
        """Whether every question has been answered."""
        return not self._wanted

    @property
    def targets(self) -> tuple[Target, ...]:
        """The targets, best first, by IP address.  Empty until `done`, or on failure."""
        return self._outcome.targets

    @property
    def failure(self) -> str | None:
        """Why there is no target, once the look-up is done; None before that or on success."""
        return self._outcome.failure

    @property
    def unknown(self) -> bool:
        """Whether the look-up has failed because DNS knows no address."""
        return self._outcome.unknown

    def add_answer(self, question: DnsQuestion, records: Sequence[Record]) -> None:
        """Add the answer to a question; () means "no such name" or "no such data".

        Drops an answer to a question that is not in `wanted`.
        """
        if question not in self._wanted:
            return
        del self._wanted[question]
        self._answers[question] = tuple(records)
        if not self._wanted:
            answers, self._answers = self._answers, {}
            self._advance(answers)

    def _advance(self, answers: _Answers | None) -> None:
        try:
            questions = next(self._search) if answers is None else self._search.send(answers)
            while not questions:
                questions = self._search.send({})
        except StopIteration as end:
            self._outcome = end.value
        else:
            self._wanted = dict.fromkeys(questions)


def locate_server(
    uri: SipUri, *, entropy: Entropy, policy: LookupPolicy | None = None
) -> ServerLookup:
    """Start the look-up of `uri` (RFC 3263 section 4).

    `entropy` is used to draw SRV servers by weight.  For a URI whose transport the policy forbids,
    or sips over UDP, the look-up is done at once and has a `failure`.
    """
    return ServerLookup(_search(uri, policy or LookupPolicy(), entropy))


def _search(uri: SipUri, policy: LookupPolicy, entropy: Entropy) -> _Search:
    possible = _possible_transports(uri, policy)
    if not possible:
        return _LookupResult(failure=_why_impossible(uri, policy))
    # maddr replaces the host as destination (RFC 3263 section 4), not as reference identity.
    host = _plain_name(uri.parameter("maddr") or uri.host)
    name = policy.server_name or _plain_name(uri.host)
    places: list[_ServerCandidate] = []
    if uri.port is None and not is_numeric(host):
        places = yield from _find_servers(host, possible, uri.transport is None, entropy)
    if not places:
        transport = _plain_transport(uri, possible)
        places = [_ServerCandidate(transport, host, uri.port or default_port(transport))]
    targets = yield from _find_addresses(places, name, policy)
    if not targets:
        hosts = ", ".join(dict.fromkeys(place.host for place in places))
        return _LookupResult(failure=f"DNS knows no address of {hosts[:200]}", unknown=True)
    return _LookupResult(targets)


def _find_servers(
    host: str, possible: tuple[Transport, ...], any_transport: bool, entropy: Entropy
) -> _Places:
    """Ask for NAPTR, then SRV (RFC 3263 sections 4.1 and 4.2); [] when no SRV record is usable."""
    services: list[tuple[Transport, DnsQuestion]] = []
    if any_transport:
        question = DnsQuestion(host, RecordType.NAPTR)
        answers = yield (question,)
        services = _usable_services(answers.get(question, ()), possible)
    if not services:
        services = [
            (transport, DnsQuestion(f"{_LABELS[transport]}.{host}", RecordType.SRV))
            for transport in possible
        ]
    answers = yield tuple(question for _, question in services)
    return [
        _ServerCandidate(transport, _plain_name(server.target), server.port)
        for transport, question in services
        for server in order_servers(
            [one for one in answers.get(question, ()) if isinstance(one, SrvRecord)], entropy
        )
    ]


def _find_addresses(
    places: list[_ServerCandidate], name: str, policy: LookupPolicy
) -> Generator[tuple[DnsQuestion, ...], _Answers, tuple[Target, ...]]:
    """Resolve every place; returns targets in the order of the places, then of the families."""
    questions = {
        DnsQuestion(place.host, family): None
        for place in places
        if not is_numeric(place.host)
        for family in policy.families
    }
    answers = yield tuple(questions)
    found: dict[Target, None] = {}
    for place in places:
        identity = name if place.transport is Transport.TLS else None
        for address in _addresses_of(place.host, answers, policy.families):
            found[Target(place.transport, address, place.port, identity, policy.credential)] = None
    return tuple(found)[:MAXIMUM_TARGETS]


def _addresses_of(host: str, answers: _Answers, families: tuple[RecordType, ...]) -> list[str]:
    if is_numeric(host):
        return [host]
    return [
        record.address
        for family in families
        for record in answers.get(DnsQuestion(host, family), ())
        if isinstance(record, AddressRecord) and is_numeric(record.address)
    ]


def _usable_services(
    records: Sequence[Record], possible: tuple[Transport, ...]
) -> list[tuple[Transport, DnsQuestion]]:
    """Return the SRV questions of NAPTR records whose transport is possible, best first."""
    usable = [
        record
        for record in records
        if isinstance(record, NaptrRecord)
        and record.flags.lower() == "s"
        and _SERVICES.get(record.service.lower()) in possible
        and _plain_name(record.replacement)
    ]
    usable.sort(key=lambda record: (record.order, record.preference))
    return [
        (
            _SERVICES[record.service.lower()],
            DnsQuestion(_plain_name(record.replacement), RecordType.SRV),
        )
        for record in usable[:MAXIMUM_SERVICES]
    ]


def order_servers(records: Sequence[SrvRecord], entropy: Entropy) -> list[SrvRecord]:
    """Sort SRV records by priority, and within a priority by weighted draw (RFC 2782).

    Drops records whose target is "" or ".", and those beyond `MAXIMUM_SERVERS`.
    """
    ordered: list[SrvRecord] = []
    live = [record for record in records if _plain_name(record.target)][:MAXIMUM_SERVERS]
    for priority in sorted({record.priority for record in live}):
        # Records of weight 0 come first, so that they keep a small chance.
        group = sorted(
            (record for record in live if record.priority == priority),
            key=lambda record: record.weight > 0,
        )
        while group:
            total = sum(record.weight for record in group)
            drawn = int.from_bytes(entropy(4), "big") % (total + 1)
            sums = accumulate(record.weight for record in group)
            chosen = next(index for index, sum_ in enumerate(sums) if sum_ >= drawn)
            ordered.append(group.pop(chosen))
    return ordered


def _possible_transports(uri: SipUri, policy: LookupPolicy) -> tuple[Transport, ...]:
    """Return the transports that URI and policy allow, in policy order (RFC 3263 section 4.1)."""
    named = uri.transport
    if uri.secure:
        # RFC 3261 section 26.2.2: sips means TLS over TCP, with transport=tcp as well.
        wanted = {Transport.TLS} if named in (None, "tcp", "tls") else set[Transport]()
    elif named is None:
        wanted = set(Transport)
    else:
        wanted = {transport for transport in Transport if transport.value == named}
    return tuple(transport for transport in policy.transports if transport in wanted)


def _why_impossible(uri: SipUri, policy: LookupPolicy) -> str:
    if uri.secure and uri.transport not in (None, "tcp", "tls"):
        return f"a sips URI needs TLS, which transport={(uri.transport or '')[:32]} is not"
    allowed = ", ".join(transport.value for transport in policy.transports)
    named = (uri.transport or ("tls" if uri.secure else "its transport"))[:32]
    return f"the URI asks for {named}; allowed is {allowed or 'nothing'}"


def _plain_transport(uri: SipUri, possible: tuple[Transport, ...]) -> Transport:
    """Return the transport where DNS names none: UDP if possible, unless the URI names one.

    RFC 3263 section 4.1.
    """
    if uri.transport is None and Transport.UDP in possible:
        return Transport.UDP
    return possible[0]


def _plain_name(name: str) -> str:
    return name.rstrip(".").lower()


class Failover:
    """Chooses among the targets of one server and skips those that failed (RFC 3263 section 4.3).

    A failed target is skipped until all have failed; one that answered 503 with Retry-After, until
    that time has passed (RFC 3261 section 21.5.4).  Once TLS to the server has worked, targets
    without TLS are dropped: an attacker who blocks TLS must not force a downgrade.
    """

    def __init__(self, targets: Sequence[Target], *, before: Failover | None = None) -> None:
        """Take over the Retry-After times of `before`, the failover of an earlier look-up.

        Raises ValueError when `targets` is empty.
        """
        if not targets:
            raise ValueError("a failover needs at least one target")
        self._targets = tuple(targets)
        self._failed: set[Target] = set()
        self._closed: dict[Target, float] = {}
        if before is not None and before._closed:
            closed = before._closed.items()
            self._closed.update((target, until) for target, until in closed if target in targets)
        self._last_good: Target | None = None
        self._secure = False

    def update_targets(self, targets: Sequence[Target]) -> None:
        """Replace the targets by the result of a new look-up of the same server.

        Raises ValueError when `targets` is empty.
        """
        if not targets:
            raise ValueError("a failover needs at least one target")
        # A DNS answer without TLS targets must not cause a downgrade.
        self._targets = (_over_tls(targets) or self._targets) if self._secure else tuple(targets)
        self._failed.clear()
        self._closed = {one: until for one, until in self._closed.items() if one in targets}
        self._last_good = None

    @property
    def targets(self) -> tuple[Target, ...]:
        """All targets, best first."""
        return self._targets

    def choose_target(self, *, now: float) -> Target | None:
        """Return the best usable target at `now`.

        Returns None when none is usable, and clears the failures so that the next call tries all
        again.  The target that worked last is preferred over those listed before it.
        """
        candidates = [
            target
            for target in self._targets
            if target not in self._failed and not self.is_closed(target, now=now)
        ]
        if not candidates:
            self._failed.clear()
            return None
        return self._last_good if self._last_good in candidates else candidates[0]

    def is_closed(self, target: Target, *, now: float) -> bool:
        """Whether the Retry-After time of a target ends later than `now`."""
        return self._closed.get(target, now) > now

    def mark_failed(self, target: Target, *, now: float, retry_after: float = 0.0) -> None:
        """Skip a target from now on, for at least `retry_after` seconds (from a 503).

        At most `LONGEST_CLOSED` of them: a 503 may be a callee's, which a proxy passes on.
        """
        self._failed.add(target)
        if retry_after > 0:
            self._closed[target] = now + min(retry_after, LONGEST_CLOSED)
        if self._last_good == target:
            self._last_good = None

    def mark_succeeded(self, target: Target) -> None:
        """Prefer this target while it works, and clear the failures of the others.

        Success over TLS drops every target without TLS.
        """
        self._failed.clear()
        self._closed.pop(target, None)
        self._last_good = target
        if target.transport is Transport.TLS:
            self._secure = True
            self._targets = _over_tls(self._targets) or (target,)


def _over_tls(targets: Sequence[Target]) -> tuple[Target, ...]:
    return tuple(target for target in targets if target.transport is Transport.TLS)
