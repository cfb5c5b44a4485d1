"""DNS for SIP: NAPTR, SRV, A and AAAA look-ups through dnspython, without a thread.

Numeric hosts are never looked up; "localhost" (RFC 6761 section 6.3) and the hosts file come
before DNS.  Answers, negative ones too, are cached for their TTL, and so is the route to a server
that follows from them.  What to look up, and how to choose among the answers, is decided in
`softphone.sip.transport.server_location`.
"""

from __future__ import annotations

import asyncio
import math
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from softphone.errors import HostNotFound, TransportError, TransportTimeout
from softphone.operating_system import read_file
from softphone.sans_io import Address, Entropy, Target
from softphone.sip.message import SipUri
from softphone.sip.transport import (
    AddressRecord,
    DnsQuestion,
    LookupPolicy,
    NaptrRecord,
    Record,
    RecordType,
    SrvRecord,
    is_numeric,
    locate_server,
)

if TYPE_CHECKING:
    import dns.asyncresolver
    import dns.name
    import dns.rdata

_FAMILIES = (RecordType.A, RecordType.AAAA)
MAXIMUM_HOSTS_FILE = 1 << 20
"""The most octets of the hosts file that are read."""


@dataclass(frozen=True, slots=True)
class ResolverConfig:
    """The servers to ask, time-outs and cache bounds; times in seconds.

    `nameservers` None takes the system's (/etc/resolv.conf).  `timeout` is for one server,
    `lifetime` for one question.  Answers are cached from `minimum_ttl` to `maximum_ttl`, at most
    `capacity` of them, and as many routes.
    """

    nameservers: tuple[Address, ...] | None = None
    timeout: float = 2.0
    lifetime: float = 5.0
    minimum_ttl: float = 1.0
    maximum_ttl: float = 3600.0
    negative_ttl: float = 30.0
    capacity: int = 1024
    hosts_file: str | os.PathLike[str] = "/etc/hosts"


@dataclass(frozen=True, slots=True)
class _CachedAnswer:
    """An answer and the time until which it is valid."""

    records: tuple[Record, ...]
    until: float


_RouteKey: TypeAlias = tuple[str, str, int | None, str | None, str | None, LookupPolicy | None]
"""What a look-up depends on: scheme, host, port, transport and maddr of the URI, and the policy."""


@dataclass(frozen=True, slots=True)
class _KeptRoute:
    """The targets of a URI, valid until a time and while the hosts file has this stamp."""

    targets: tuple[Target, ...]
    until: float
    hosts_stamp: tuple[int, int] | None


class DnsResolver:
    """Asks DNS, caches answers and runs look-ups; it leaves no task behind and needs no closing."""

    def __init__(
        self,
        config: ResolverConfig | None = None,
        *,
        entropy: Entropy,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` gives the seconds by which cached answers expire."""
        self._config = config or ResolverConfig()
        self._entropy = entropy
        self._clock = clock
        self._kept: OrderedDict[DnsQuestion, _CachedAnswer] = OrderedDict()
        self._resolver: dns.asyncresolver.Resolver | None = None
        self._hosts: dict[str, tuple[str, ...]] = {}
        self._hosts_stamp: tuple[int, int] | None = None
        self._routes: OrderedDict[_RouteKey, _KeptRoute] = OrderedDict()

    async def locate(
        self, uri: SipUri, *, policy: LookupPolicy | None = None
    ) -> tuple[Target, ...]:
        """Find where to send a request for `uri`, best first (RFC 3263).

        Raises HostNotFound when DNS knows none, TransportError when none can be used, and
        TransportTimeout when DNS does not answer.
        """
        key = _route_key(uri, policy)
        self._hosts_entries()
        stamp = self._hosts_stamp
        kept = self._routes.get(key)
        if kept is not None and kept.until > self._clock() and kept.hosts_stamp == stamp:
            return kept.targets
        targets, until = await self._locate(uri, policy)
        if until > self._clock():
            self._routes[key] = _KeptRoute(targets, until, stamp)
            self._routes.move_to_end(key)
            while len(self._routes) > self._config.capacity:
                self._routes.popitem(last=False)
        return targets

    async def _locate(
        self, uri: SipUri, policy: LookupPolicy | None
    ) -> tuple[tuple[Target, ...], float]:
        """The targets of `uri`, and until when a new look-up could only find the same."""
        lookup = locate_server(uri, entropy=self._entropy, policy=policy)
        until = math.inf
        while questions := lookup.wanted:
            for question, records in zip(questions, await self._ask_all(questions), strict=True):
                lookup.add_answer(question, records)
                until = min(until, self._valid_until(question, records))
        if lookup.failure is not None:
            kind = HostNotFound if lookup.unknown else TransportError
            raise kind(f"{uri.host} cannot be located: {lookup.failure}")
        return lookup.targets, until

    def _valid_until(self, question: DnsQuestion, records: tuple[Record, ...]) -> float:
        """Until when these records answer the question in the same way; in the past if once only.

        Several SRV records are drawn by weight for each request (RFC 2782), and a question that
        failed is asked again.  What the hosts file says is valid while the file is the same.
        """
        if sum(isinstance(record, SrvRecord) for record in records) > 1:
            return -math.inf
        if self._local(question) is not None:
            return math.inf
        kept = self._kept.get(question)
        return kept.until if kept is not None else -math.inf

    async def resolve(self, host: str) -> Sequence[str]:
        """The addresses of a host, IPv4 first; a numeric host is returned as it is.

        Raises HostNotFound when it has none, TransportTimeout when DNS does not answer.
        """
        if is_numeric(host):
            return (host,)
        name = host.rstrip(".").lower()
        answers = await self._ask_all([DnsQuestion(name, family) for family in _FAMILIES])
        addresses = [
            record.address
            for records in answers
            for record in records
            if isinstance(record, AddressRecord)
        ]
        if not addresses:
            raise HostNotFound(f"DNS knows no address of {host}")
        return addresses

    async def query(self, question: DnsQuestion) -> tuple[Record, ...]:
        """The records that answer one question, () when there are none.

        Raises TransportError when the servers fail, TransportTimeout when they do not answer.
        """
        held = self._held(question)
        if held is not None:
            return held
        now = self._clock()
        records, ttl = await self._query(question)
        self._kept[question] = _CachedAnswer(records, now + ttl)
        self._kept.move_to_end(question)
        while len(self._kept) > self._config.capacity:
            self._kept.popitem(last=False)
        return records

    def _held(self, question: DnsQuestion) -> tuple[Record, ...] | None:
        """The answer that is known without asking; None when DNS must be asked."""
        local = self._local(question)
        if local is not None:
            return local
        kept = self._kept.get(question)
        return kept.records if kept is not None and kept.until > self._clock() else None

    async def _ask_all(self, questions: Sequence[DnsQuestion]) -> list[tuple[Record, ...]]:
        """The answers to all questions, asked in parallel.

        A question that fails counts as unanswered if another one is answered: some servers fail for
        record types that they do not know.  A failed NAPTR question is followed by SRV.
        """

        held = [answer for answer in map(self._held, questions) if answer is not None]
        if len(held) == len(questions):
            return held

        async def attempt(question: DnsQuestion) -> tuple[Record, ...] | TransportError:
            try:
                return await self.query(question)
            except TransportError as error:
                return error

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(attempt(question)) for question in questions]
        results = [task.result() for task in tasks]
        answers = [() if isinstance(result, TransportError) else result for result in results]
        failed = [result for result in results if isinstance(result, TransportError)]
        if failed and not any(answers) and questions[0].type is not RecordType.NAPTR:
            raise failed[0]
        return answers

    # DNS

    async def _query(self, question: DnsQuestion) -> tuple[tuple[Record, ...], float]:
        """The records and their TTL, through dnspython; its exceptions are translated here."""
        import dns.exception
        import dns.resolver

        config = self._config
        try:
            resolver = self._resolver or self._make_resolver()
            answer = await resolver.resolve(
                _query_name(question), question.type.value, raise_on_no_answer=False, search=True
            )
        except dns.resolver.NXDOMAIN:
            return (), config.negative_ttl
        except dns.resolver.LifetimeTimeout as exc:
            self._resolver = None
            raise TransportTimeout(
                f"DNS did not answer for {question.name} {question.type} "
                f"within {config.lifetime:g} s"
            ) from exc
        except (dns.resolver.NoNameservers, dns.resolver.NoResolverConfiguration) as exc:
            self._resolver = None
            raise TransportError(
                f"no DNS server answers for {question.name} {question.type}; is the network up?"
            ) from exc
        except (dns.exception.DNSException, OSError, UnicodeError) as exc:
            raise TransportError(
                f"DNS cannot be asked for {question.name} {question.type}: {exc}"
            ) from exc
        if answer.rrset is None:
            return (), config.negative_ttl
        records = tuple(_read(data) for data in answer.rrset)
        ttl = float(answer.chaining_result.minimum_ttl)
        return records, min(max(ttl, config.minimum_ttl), config.maximum_ttl)

    def _make_resolver(self) -> dns.asyncresolver.Resolver:
        import dns.asyncresolver
        import dns.nameserver

        config = self._config
        resolver = dns.asyncresolver.Resolver(configure=config.nameservers is None)
        if config.nameservers is not None:
            resolver.nameservers = [
                dns.nameserver.Do53Nameserver(host, port) for host, port in config.nameservers
            ]
        resolver.timeout = config.timeout
        resolver.lifetime = config.lifetime
        self._resolver = resolver
        return resolver

    # Look-ups without DNS

    def _local(self, question: DnsQuestion) -> tuple[Record, ...] | None:
        """The answer of the hosts file or of "localhost"; None when DNS must be asked."""
        if question.type not in _FAMILIES:
            is_local = question.name.rpartition(".")[2] == "localhost"
            return () if is_local or question.name in self._hosts_entries() else None
        addresses = self._hosts_entries().get(question.name)
        if addresses is None:
            if question.name.rpartition(".")[2] != "localhost":
                return None
            addresses = ("127.0.0.1", "::1")
        wants_ipv6 = question.type is RecordType.AAAA
        return tuple(
            [AddressRecord(address) for address in addresses if (":" in address) == wants_ipv6]
        )

    def _hosts_entries(self) -> dict[str, tuple[str, ...]]:
        """The hosts file by name, read again when it has changed; {} when there is none."""
        path = self._config.hosts_file
        try:
            status = os.stat(path)
            stamp = (status.st_mtime_ns, status.st_size)
            if stamp != self._hosts_stamp:
                data = read_file(path, most=MAXIMUM_HOSTS_FILE)
                self._hosts = _read_hosts(data.decode("utf-8", "replace"))
                self._hosts_stamp = stamp
        except OSError:
            self._hosts, self._hosts_stamp = {}, None
        return self._hosts


def _route_key(uri: SipUri, policy: LookupPolicy | None) -> _RouteKey:
    """What the look-up of `uri` depends on: neither its user nor its password."""
    transport, maddr = uri.parameter("transport"), uri.parameter("maddr")
    return uri.scheme, uri.host, uri.port, transport, maddr, policy


def _query_name(question: DnsQuestion) -> dns.name.Name:
    """An absolute name, except for a host of one label: the search list may complete it."""
    import dns.name

    lone = question.type in _FAMILIES and "." not in question.name
    return dns.name.from_text(question.name, None if lone else dns.name.root)


def _read(data: dns.rdata.Rdata) -> Record:
    """Convert one record of dnspython to ours."""
    from dns.rdtypes.IN.NAPTR import NAPTR
    from dns.rdtypes.IN.SRV import SRV

    if isinstance(data, NAPTR):
        return NaptrRecord(
            data.order,
            data.preference,
            data.flags.decode("ascii", "replace"),
            data.service.decode("ascii", "replace"),
            data.replacement.to_text(omit_final_dot=True),
            data.regexp.decode("utf-8", "replace"),
        )
    if isinstance(data, SRV):
        target = data.target.to_text(omit_final_dot=True)
        return SrvRecord(data.priority, data.weight, data.port, target)
    return AddressRecord(data.to_text())


def _read_hosts(text: str) -> dict[str, tuple[str, ...]]:
    """Parse the hosts file (hosts(5)): address, then names; the order of lines is kept."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        if is_numeric(address):
            for name in names:
                found.setdefault(name.lower().rstrip("."), []).append(address)
    return {name: tuple(dict.fromkeys(addresses)) for name, addresses in found.items()}
