"""Fetches certificates from addresses that strangers name, over HTTPS, within bounds.

A caller writes the address (x5u of a PASSporT), so it must lead nowhere but to a public web server:
https only, no redirect, every resolved address checked and connected to as checked, few octets,
little time, few fetches.  The caller verifies a fetched certificate against its own trust anchors.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from softphone.errors import SoftphoneError, TransportError
from softphone.net.http.client import (
    HttpsClient,
    HttpsEnvironment,
    HttpsLimits,
    HttpsRequest,
    https_target,
)
from softphone.net.shared_tasks import SharedTasks
from softphone.net.stream import HostResolver, addresses_of, system_addresses
from softphone.rate_limit import TokenBucket
from softphone.trust import TlsSettings

logger = logging.getLogger("softphone.net")

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_NEVER = (
    ipaddress.IPv4Network("192.0.0.0/24"),  # with Oracle's metadata service
    ipaddress.IPv4Network("168.63.129.16/32"),  # Azure's metadata service
)
_PORTS = (443, 8443)
"""The ports of certificate repositories (ATIS-1000074)."""


@dataclass(frozen=True, slots=True)
class RepositoryLimits:
    """Sizes in octets, times in seconds.

    A fetch takes `within` at most, its look-up included.  An answer is kept for `keep`, a failure
    for `keep_failure`; at most `entries` are kept.  Of addresses that are not kept, `burst` are
    fetched at once and `rate` a second in the long run.
    """

    size: int = 16_384
    within: float = 2.0
    keep: float = 3600.0
    keep_failure: float = 60.0
    entries: int = 64
    rate: float = 1.0
    burst: float = 16.0


def is_public_address(address: str, allowed: Sequence[Network] = ()) -> bool:
    """Whether an address is one of the public Internet, or in one of the `allowed` networks.

    Loopback, private, shared, link-local and unique local addresses, multicast, metadata services
    and addresses that embed an IPv4 address (v4-mapped, NAT64, 6to4, Teredo) are not.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if any(parsed in network for network in allowed):
        return True
    if isinstance(parsed, ipaddress.IPv4Address):
        odd = parsed.is_multicast or any(parsed in network for network in _NEVER)
        return parsed.is_global and not odd
    embeds = parsed.sixtofour is not None or parsed.teredo is not None
    return parsed in _GLOBAL_UNICAST and parsed.is_global and not embeds


class RepositoryFetcher:
    """Fetches and caches files of public repositories; `fetch` raises nothing but SoftphoneError.

    `tls` says which web servers are trusted.  `allowed` are networks that may be connected to
    though they are not public; with them any port is.
    """

    def __init__(
        self,
        tls: TlsSettings,
        *,
        resolve: HostResolver = system_addresses,
        allowed: Sequence[Network] = (),
        limits: RepositoryLimits | None = None,
    ) -> None:
        self._limits = limits or RepositoryLimits()
        self._resolve = resolve
        self._allowed = tuple(allowed)
        self._bucket = TokenBucket(rate=self._limits.rate, burst=self._limits.burst)
        self._kept: OrderedDict[str, tuple[float, bytes | str]] = OrderedDict()
        self._fetches: SharedTasks[str, bytes] = SharedTasks()
        self._client = HttpsClient(
            tls,
            HttpsLimits(self._limits.size, self._limits.within),
            HttpsEnvironment(resolve=self._public_addresses),
        )

    async def fetch(self, url: str) -> bytes:
        """Return the content at an https: URL.  Raises TransportError or another SoftphoneError."""
        now = asyncio.get_running_loop().time()
        until, kept = self._kept.get(url, (0.0, ""))
        if now >= until:
            return await self._fetches.run(url, lambda: self._fetch(url, now))
        if isinstance(kept, bytes):
            return kept
        raise TransportError(kept)

    async def _fetch(self, url: str, now: float) -> bytes:
        if not self._bucket.admit(now=now):
            raise TransportError("too many certificates are being asked for at the moment")
        try:
            found = await self._request(url)
        except SoftphoneError as error:
            logger.info("not fetched: %s", error)
            self._keep(url, str(error), now + self._limits.keep_failure)
            raise
        self._keep(url, found, now + self._limits.keep)
        return found

    async def _request(self, url: str) -> bytes:
        target = https_target(url)
        if self._is_literal(target.host):
            await self._public_addresses(target.host)
        if target.port not in _PORTS and not self._allowed:
            raise TransportError(f"{target.host} is asked at port 443 or 8443 only")
        response = await self._client.send_request(HttpsRequest(url))
        if response.status != 200:
            raise TransportError(f"{target.host} answered {response.status}")
        return response.body

    @staticmethod
    def _is_literal(host: str) -> bool:
        """Whether a host is one that a dialer connects to without a look-up."""
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return host.rstrip(".").lower() == "localhost"
        return True

    async def _public_addresses(self, host: str) -> Sequence[str]:
        """Resolve a host; one address that is not public refuses it, whatever the others are."""
        found = await addresses_of(host, self._resolve)
        for address in found:
            if not is_public_address(address, self._allowed):
                raise TransportError(f"{host} is at {address}, which is no public address")
        return found

    def _keep(self, url: str, what: bytes | str, until: float) -> None:
        self._kept[url] = until, what
        self._kept.move_to_end(url)
        while len(self._kept) > self._limits.entries:
            self._kept.popitem(last=False)
