"""Enrolls a device with CAPF over TLS, with the state machine of `softphone.trust`.

A CAPF certificate usually names no host, so the server is verified by the certificate itself (a
pin), or by an authority that names its host.  A thread makes the new key, which is stored together
with its certificate and leaves this process in no other way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from softphone.errors import ConfigurationError, SoftphoneError, TransportError
from softphone.net import Driver, DriverConfig
from softphone.sans_io import Address, Target, Transport
from softphone.trust import (
    CapfBusy,
    CapfClient,
    CapfEvent,
    CapfFailed,
    CapfFinished,
    CapfOperation,
    CapfRequest,
    CertificateIssued,
    CertificateShown,
    DeletionWanted,
    Identity,
    IdentityStore,
    KeyWanted,
    Pin,
    Service,
    TlsSettings,
    TrustStore,
    der_of,
    load_certificates,
    new_key,
    public_key_of,
)
from softphone.trust.csr import PrivateKey

CAPF_PORT = 3804


@dataclass(frozen=True, slots=True)
class EnrollmentPlan:
    """The CAPF servers, the TLS settings for them, and the number of attempts.

    `servers` are tried in order until one can be reached; a refusal is final.  A busy server is
    tried `attempts` times in all, after the delay that it asks for: `wait(seconds)`.
    """

    servers: tuple[Address, ...]
    tls: TlsSettings
    attempts: int = 3
    driver: DriverConfig = field(default_factory=DriverConfig)
    wait: Callable[[float], Awaitable[None]] = asyncio.sleep


@dataclass(frozen=True, slots=True)
class Enrollment:
    """The result of an enrollment: the server's operation, and warnings about the certificate."""

    operation: CapfOperation
    server: Address
    warnings: tuple[str, ...] = ()


def capf_settings(store: TrustStore, pinned: bytes, servers: Sequence[Address]) -> TlsSettings:
    """Make TLS settings for CAPF that trust the certificates (PEM or DER) in `pinned`.

    Each is added to `store` as a pin for these servers, whatever names it has, and as an anchor,
    so that a CA certificate also vouches for a server certificate with the server's host name.
    Raises ConfigurationError.
    """
    for certificate in load_certificates(pinned, source="the file of the CAPF certificate"):
        store.add_anchor(certificate)
        for host, port in servers:
            store.add_pin(Pin(Service.CAPF, host, port, der_of(certificate)))
    return TlsSettings(store=store, service=Service.CAPF)


async def enroll(
    request: CapfRequest,
    plan: EnrollmentPlan,
    store: IdentityStore,
    *,
    on_progress: Callable[[str], None] = lambda sentence: None,
) -> Enrollment:
    """Run the operation that is pending at the CAPF server; calls `on_progress` with sentences.

    Raises CapfError or a subclass, TransportError, CertificateError, ConfigurationError.  After an
    exception the previous identity stays in use.
    """
    if not plan.servers:
        raise ConfigurationError("there is no CAPF server to enroll with")
    store.path(request.device)
    failure: SoftphoneError | None = None
    for server in plan.servers:
        try:
            return await _patiently(request, plan, store, server, on_progress)
        except TransportError as exc:
            on_progress(str(exc))
            failure = failure or exc
    raise failure or TransportError("no CAPF server could be reached")


async def _patiently(
    request: CapfRequest,
    plan: EnrollmentPlan,
    store: IdentityStore,
    server: Address,
    tell: Callable[[str], None],
) -> Enrollment:
    for _ in range(1, plan.attempts):
        try:
            return await _EnrollmentSession(request, plan, store, server, tell).run()
        except CapfBusy as busy:
            tell(str(busy))
            await plan.wait(busy.delay)
    return await _EnrollmentSession(request, plan, store, server, tell).run()


class _EnrollmentSession:
    """One connection to one server."""

    def __init__(
        self,
        request: CapfRequest,
        plan: EnrollmentPlan,
        store: IdentityStore,
        server: Address,
        tell: Callable[[str], None],
    ) -> None:
        self._device = request.device
        self._plan = plan
        self._store = store
        self._server = server
        self._tell = tell
        self._warnings: tuple[str, ...] = ()
        self._key: PrivateKey | None = None
        self._client = CapfClient(request, wall=plan.driver.wall())
        self._ended: asyncio.Future[CapfOperation] = asyncio.get_running_loop().create_future()
        self._making: asyncio.Task[None] | None = None

    async def run(self) -> Enrollment:
        """Connect, and run the session to its end."""
        driver: Driver[CapfEvent] = Driver(
            self._client,
            on_event=self._handle,
            tls={"": self._plan.tls},
            config=self._plan.driver,
        )
        self._driver = driver
        host, port = self._server
        self._tell(f"connecting to CAPF at {host} port {port}")
        async with driver:
            try:
                await driver.open_flow(Target(Transport.TLS, host, port))
                waiting: set[asyncio.Future[Any]] = {self._ended, driver.closed}
                done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for future in done:
                    future.result()
            finally:
                if self._making is not None:
                    self._making.cancel()
                if not self._ended.cancel():
                    self._ended.exception()
        return Enrollment(self._ended.result(), self._server, self._warnings)

    def _handle(self, event: CapfEvent) -> None:
        if isinstance(event, KeyWanted):
            self._tell(f"making a key ({event.kind.value})")
            self._making = asyncio.get_running_loop().create_task(self._make_key(event))
        elif isinstance(event, CertificateIssued):
            self._store_certificate(event)
        elif isinstance(event, CertificateShown):
            self._tell("the server asked for our certificate" + ("" if event.found else ": none"))
        elif isinstance(event, DeletionWanted):
            self._delete()
        elif isinstance(event, CapfFinished):
            self._give_command(lambda: self._ended.set_result(event.operation))
        elif isinstance(event, CapfFailed):
            error = event.error
            self._give_command(lambda: self._ended.set_exception(error))

    def _give_command(self, how: Callable[[], None]) -> None:
        if not self._ended.done():
            how()

    async def _make_key(self, wanted: KeyWanted) -> None:
        # RSA 4096 takes seconds: in a thread, so that the flow is served meanwhile.
        self._key = await asyncio.to_thread(new_key, wanted.kind)
        self._tell("waiting for the certificate")
        with self._driver.change() as now:
            self._client.key_made(public_key_of(self._key), now=now)

    def _store_certificate(self, issued: CertificateIssued) -> None:
        self._warnings += issued.warnings
        with self._driver.change() as now:
            try:
                if self._key is None:
                    raise ConfigurationError("there is no key to it")
                (certificate,) = load_certificates(issued.certificate)
                self._store.replace(self._device, Identity(certificate, self._key))
            except ConfigurationError as exc:
                self._client.not_stored(str(exc), now=now)
            else:
                self._tell("the certificate is stored")
                self._client.stored(now=now)

    def _delete(self) -> None:
        with self._driver.change() as now:
            self._client.deleted(self._store.delete(self._device), now=now)
