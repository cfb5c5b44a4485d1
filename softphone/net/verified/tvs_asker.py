"""Asks a cluster's TVS over TLS: runs the machine of `softphone.trust.tvs.tvs` behind the gate.

A TVS is asked only if the trust lists name its certificate as TVS: its answer is only as
trustworthy as the connection that it came over.  The servers are tried in order, one question each,
and answers are cached for as long as they say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from softphone.errors import SoftphoneError
from softphone.net.driver import Driver, DriverConfig
from softphone.sans_io import Address, Entropy, Target, Transport
from softphone.trust import (
    FetchFailed,
    FileRefused,
    Role,
    Service,
    TlsSettings,
    TrustLists,
    TvsAnswered,
    TvsClient,
    TvsUnanswered,
    fingerprint_of,
    verify_trust_list,
)
from softphone.trust.lists import parse_stored_list
from softphone.trust.tvs import TvsCache, TvsEvent

_AT_ONCE = 4
_LEAST_PATIENCE = 1.0


class TvsAsker:
    """Asks the servers of one cluster, in order of priority; implements `AskTvs`.

    `lists` name the certificates that are TVS.  `device_name` is sent to the servers, in the form
    of `tvs_device_name`.
    """

    def __init__(
        self,
        servers: Sequence[Address],
        lists: TrustLists,
        *,
        device_name: str,
        entropy: Entropy,
        config: DriverConfig | None = None,
    ) -> None:
        self._targets = tuple(Target(Transport.TLS, host, port) for host, port in servers)
        self._device_name = device_name
        self._entropy = entropy
        self._config = config or DriverConfig()
        self._cache = TvsCache()
        self._places = asyncio.Semaphore(_AT_ONCE)
        self.replace_lists(lists)

    def replace_lists(self, lists: TrustLists) -> None:
        """Use other lists from now on and drop the cached answers."""
        self._tls = TlsSettings(lists=lists, service=Service.TVS)
        self._trusted = tuple(fingerprint_of(der) for der in lists.certificates(Role.TVS))
        self._cache.clear()

    async def __call__(self, certificate: bytes, within: float) -> bytes | FetchFailed:
        """The VERIFY_RESPONSE about a certificate (DER), or why there is none."""
        found = await self.query_certificate(certificate, within=within)
        if isinstance(found, TvsUnanswered):
            return FetchFailed(found.reason)
        return found.answer.message(0).encode()

    async def query_certificate(self, certificate: bytes, *, within: float) -> TvsEvent:
        """The answer as an event, within so many seconds for all servers together."""
        if not self._targets or not self._trusted:
            nobody = "no TVS is configured" if self._trusted else "no trust list names a TVS"
            return TvsUnanswered(certificate, nobody)
        try:
            async with asyncio.timeout(within), self._places:
                return await self._asked(certificate, within)
        except TimeoutError:
            return TvsUnanswered(certificate, f"no server answered within {within:g} s")

    async def find_list_signers(
        self, downloads: Iterable[bytes], *, within: float
    ) -> frozenset[bytes]:
        """The signers (DER) of trust lists that a TVS allows to sign them.

        For `confirmed` of `TrustListStore.renew`, after its SIGNER_UNKNOWN.  Files that are no
        valid lists have no signer.
        """
        found: set[bytes] = set()
        for data in downloads:
            try:
                signer = verify_trust_list(parse_stored_list(data))
            except FileRefused:
                continue
            event = await self.query_certificate(signer, within=within)
            if isinstance(event, TvsAnswered) and event.gives(Role.SAST):
                found.add(signer)
        return frozenset(found)

    async def _asked(self, certificate: bytes, within: float) -> TvsEvent:
        client = TvsClient(
            self._targets,
            trusted=self._trusted,
            device_name=self._device_name,
            entropy=self._entropy,
            patience=max(_LEAST_PATIENCE, within / len(self._targets)),
            cache=self._cache,
        )
        answered: asyncio.Future[TvsEvent] = asyncio.get_running_loop().create_future()

        def hear(event: TvsEvent) -> None:
            if not answered.done():
                answered.set_result(event)

        driver: Driver[TvsEvent] = Driver(
            client, on_event=hear, tls={"": self._tls}, config=self._config
        )
        async with driver:
            with driver.change() as now:
                client.query_certificate(certificate, now=now)
            waiting: set[asyncio.Future[Any]] = {answered, driver.closed}
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if not answered.done():
                driver.closed.result()
            return self._explained(await answered, driver)

    def _explained(self, event: TvsEvent, driver: Driver[TvsEvent]) -> TvsEvent:
        """Add the gate's own reason, if the gate refused the server."""
        failures = (driver.failure_of(target) for target in self._targets)
        said = [str(each) for each in failures if isinstance(each, SoftphoneError)]
        if isinstance(event, TvsUnanswered) and said:
            return TvsUnanswered(event.certificate, "; ".join(dict.fromkeys(said)))
        return event
