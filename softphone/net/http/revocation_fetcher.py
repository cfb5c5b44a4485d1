"""Fetches CRLs, OCSP answers and issuers over HTTP, bounded in time and size, on httpcore.

CRLs and missing issuers by GET (RFC 5280 sections 4.2.1.13 and 4.2.2.1), OCSP answers by POST
(RFC 6960 appendix A.1).
Redirects, proxies and cookies are not used.  A name is resolved once, its addresses are checked,
and the connection goes to a checked address.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpcore

from softphone.errors import TransportError
from softphone.net.http.backend import HTTP_FAILURES, GatedNetwork
from softphone.net.limits import TransportLimits
from softphone.net.shared_tasks import SharedTasks
from softphone.net.stream import (
    HostResolver,
    StreamConnection,
    addresses_of,
    connect_socket,
    system_addresses,
)
from softphone.sans_io import Target
from softphone.trust import Fetch, FetchFailed, FetchKind, next_update

logger = logging.getLogger("softphone.net")

_FAILURES = (
    *HTTP_FAILURES,
    TransportError,
    TypeError,  # of a URL that is no ASCII
    ValueError,
)
_MEDIA_TYPES = {
    FetchKind.CRL: b"application/pkix-crl",
    FetchKind.OCSP: b"application/ocsp-response",
    FetchKind.ISSUER: b"application/pkix-cert",
}


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Sizes in octets, times in seconds.

    An answer is cached until its nextUpdate, `keep` at most, an issuer for `keep`; a failure for
    `keep_failure`, so that a dead server does not delay every connection.  At most `entries`
    answers, of `kept` octets in all, are cached.
    """

    size: int = 10 << 20
    issuer_size: int = 64 << 10
    entries: int = 64
    kept: int = 32 << 20
    keep: float = 86_400.0
    keep_failure: float = 60.0


_THIS_NETWORK = ipaddress.ip_network("0.0.0.0/8")
_EMBEDDING = tuple(
    map(ipaddress.IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "::/96", "::ffff:0:0:0/96"))
)
"""Prefixes whose last 32 bits are an IPv4 address: NAT64 (RFC 6052, RFC 8215), SIIT and others."""


def _allowed(address: str, *, local: bool) -> bool:
    """Whether an address may be fetched from.

    Loopback, link-local, multicast and unspecified addresses may only with `local`.  Private ones
    always may: enterprises keep these servers there.
    """
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour or (parsed.teredo or (None, None))[1]
        if any(parsed in network for network in _EMBEDDING):
            inner = ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
        if inner is not None:
            return _allowed(str(inner), local=local)
    odd = parsed.is_loopback or parsed.is_link_local or parsed.is_multicast
    return local or not (odd or parsed.is_unspecified or parsed in _THIS_NETWORK)


class RevocationFetcher:
    """Fetches all that a gate asks for in parallel, and caches what may be cached.

    `await fetcher(wanted, within)` returns an answer or a FetchFailed for each, and never raises.
    Concurrent requests for the same thing are fetched once.  The gate drops an answer that it could
    not verify, so that a forgery is not cached until the nextUpdate that it names.
    """

    def __init__(
        self,
        *,
        resolve: HostResolver = system_addresses,
        limits: HttpLimits | None = None,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._resolve = resolve
        self._limits = limits or HttpLimits()
        self._wall = wall
        self._kept: OrderedDict[Fetch, tuple[datetime, bytes | FetchFailed]] = OrderedDict()
        self._fetches: SharedTasks[Fetch, bytes | FetchFailed] = SharedTasks()

    async def __call__(
        self, wanted: Sequence[Fetch], within: float
    ) -> Mapping[Fetch, bytes | FetchFailed]:
        answers = {fetch: kept for fetch in wanted if (kept := self._known(fetch)) is not None}
        missing = [fetch for fetch in wanted if fetch not in answers]
        brought = await asyncio.gather(*(self._shared(fetch, within) for fetch in missing))
        return answers | dict(zip(missing, brought, strict=True))

    def drop_answers(self, fetches: Iterable[Fetch]) -> None:
        """Drop the cached answers to these fetches."""
        for fetch in fetches:
            self._kept.pop(fetch, None)

    async def _shared(self, fetch: Fetch, within: float) -> bytes | FetchFailed:
        return await self._fetches.run(fetch, lambda: self._fetched(fetch, within))

    async def _fetched(self, fetch: Fetch, within: float) -> bytes | FetchFailed:
        async def connect(
            target: Target, make: Callable[[bool], StreamConnection]
        ) -> tuple[StreamConnection, None]:
            """Connect in clear to an allowed address; what is fetched is signed."""
            found = await addresses_of(target.host, self._resolve)
            allowed = [each for each in found if _allowed(each, local=fetch.local)]
            if not allowed:
                raise TransportError(
                    f"{target.host} is a loopback, link-local or multicast address, which is"
                    " asked only where local-revocation is allowed (policy.allow)"
                )
            sock = await connect_socket((allowed[0], target.port), within)
            connection = make(False)
            await asyncio.get_running_loop().create_connection(lambda: connection, sock=sock)
            return connection, None

        network = GatedNetwork(connect, TransportLimits())
        async with httpcore.AsyncConnectionPool(network_backend=network) as pool:
            answer = await self._bounded(pool, fetch, within)
        said = await self._end_of(fetch, answer)
        if said is not None:
            self._cache_answer(fetch, answer, said)
        return answer

    async def _end_of(self, fetch: Fetch, answer: bytes | FetchFailed) -> datetime | None:
        """Until when an answer may be cached; None: not at all."""
        if isinstance(answer, FetchFailed):
            return self._wall() + timedelta(seconds=self._limits.keep_failure)
        if fetch.kind is FetchKind.ISSUER:
            return self._wall() + timedelta(seconds=self._limits.keep)
        # In a thread: an answer may be megabytes, and the first one imports its parser.
        return await asyncio.to_thread(next_update, fetch, answer)

    def _known(self, fetch: Fetch) -> bytes | FetchFailed | None:
        until, answer = self._kept.get(fetch, (None, None))
        return answer if until is not None and self._wall() < until else None

    def _cache_answer(self, fetch: Fetch, answer: bytes | FetchFailed, said: datetime) -> None:
        until = min(said, self._wall() + timedelta(seconds=self._limits.keep))
        self._kept[fetch] = (until, answer)
        self._kept.move_to_end(fetch)
        while len(self._kept) > self._limits.entries or self._size() > self._limits.kept:
            self._kept.popitem(last=False)

    def _size(self) -> int:
        answers = (answer for _, answer in self._kept.values())
        return sum(len(answer) for answer in answers if isinstance(answer, bytes))

    async def _bounded(
        self, pool: httpcore.AsyncConnectionPool, fetch: Fetch, within: float
    ) -> bytes | FetchFailed:
        try:
            async with asyncio.timeout(within):
                return await self._fetch(pool, fetch)
        except TimeoutError:
            failure = FetchFailed(f"{fetch.url} did not answer within {within:g} s")
        except _FAILURES as exc:
            failure = FetchFailed(f"{fetch.url}: {exc}")
        logger.info("not fetched: %s", failure.reason)
        return failure

    async def _fetch(self, pool: httpcore.AsyncConnectionPool, fetch: Fetch) -> bytes | FetchFailed:
        headers = [(b"Accept", _MEDIA_TYPES[fetch.kind]), (b"Connection", b"close")]
        if fetch.kind is FetchKind.OCSP:
            headers.append((b"Content-Type", b"application/ocsp-request"))
        method = "POST" if fetch.kind is FetchKind.OCSP else "GET"
        body = fetch.request if fetch.kind is FetchKind.OCSP else None
        issuer = fetch.kind is FetchKind.ISSUER
        largest = self._limits.issuer_size if issuer else self._limits.size
        async with pool.stream(method, fetch.url, headers=headers, content=body) as response:
            if response.status != 200:
                return FetchFailed(f"{fetch.url} answered {response.status}")
            data = bytearray()
            async for chunk in response.aiter_stream():
                data += chunk
                if len(data) > largest:
                    return FetchFailed(f"{fetch.url} sent more than {largest} bytes")
        return bytes(data)
