"""Inspects a server's certificates: what it shows, what can be verified, and the gate's verdict.

Makes three connections, none with application data: one that verifies nothing and shows no
certificate of ours, one whose path OpenSSL verifies, and one that is verified like every other.

If a server must be asked for TLS first (STARTTLS), each of the three asks in clear.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable

from softphone.errors import CertificateError, SoftphoneError, TransportError
from softphone.net.driver import DriverConfig, LazyFetcher
from softphone.net.stream import (
    CertificateGate,
    Dialer,
    HandshakeSlots,
    PrepareSocket,
    StreamConnection,
    TlsClient,
    shown_chain,
    verified_chain,
)
from softphone.net.verified.connector import StarttlsNegotiation, starttls_prepare
from softphone.sans_io import Flow, PeerIdentity, Target
from softphone.trust import TlsSettings, client_context, probe_context
from softphone.trust.verification.checklist import InspectionResult, inspection_result


class _NullConnectionOwner:
    """The owner of a connection without data."""

    def bytes_received(self, flow: Flow, data: bytes) -> None: ...

    def flow_ended(self, flow: Flow, error: SoftphoneError | None) -> None: ...

    def request_flush(self, connection: StreamConnection) -> None: ...


class _Inspection:
    """One server, with the gate and the dialer for connections to it."""

    def __init__(
        self,
        target: Target,
        settings: TlsSettings,
        config: DriverConfig,
        prepare: PrepareSocket | None,
    ) -> None:
        limits = config.limits
        self._target = target
        self._settings = settings
        self._limits = limits
        self._prepare = prepare
        slots = HandshakeSlots.within(limits)
        fetcher = config.fetcher or LazyFetcher(config.resolve, config.wall)
        self._gate = CertificateGate(limits=limits, slots=slots, wall=config.wall, fetcher=fetcher)
        self._client = TlsClient(self._gate, {target.credential: settings})
        self._dialer = Dialer(limits=limits, tls=self._client, resolve=config.resolve)
        self._name = target.server_name or target.host

    def _connection(self, credential: bool = False) -> StreamConnection:
        return StreamConnection(
            _NullConnectionOwner(), self._limits, client=True, credential=credential
        )

    async def _handshake(self, context: ssl.SSLContext) -> StreamConnection:
        sock = await self._dialer.connect_for_tls(self._target, self._prepare)
        connection = self._connection()
        await self._gate.client_handshake(sock, connection, context, self._name)
        return connection

    async def shown(self) -> tuple[bytes, ...]:
        connection = await self._handshake(probe_context(self._settings))
        try:
            session = connection.ssl_object
            return () if session is None else shown_chain(session)
        finally:
            await _end(connection)

    async def path(self) -> tuple[bytes, ...]:
        target, settings = self._target, self._settings
        pins = settings.store.pins(settings.service, target.host, target.port)
        issuers = self._client.issuers(target)
        connection = await self._handshake(client_context(settings, pins=pins, issuers=issuers))
        try:
            session = connection.ssl_object
            return () if session is None else verified_chain(session)
        finally:
            await _end(connection)

    async def verdict(self) -> PeerIdentity | None:
        connection, identity = await self._dialer.open_connection(
            self._target, self._connection, self._prepare
        )
        await _end(connection)
        return identity


async def _end(connection: StreamConnection) -> None:
    connection.abort()
    await connection.finished


async def inspect_server(
    target: Target,
    settings: TlsSettings,
    config: DriverConfig | None = None,
    starttls: Callable[[], StarttlsNegotiation] | None = None,
) -> InspectionResult:
    """Inspect the server of `target` under `settings`.

    `starttls` makes the exchange in clear before TLS, again for each connection.

    Raises TransportError when there is no TLS server, CertificateUntrusted for a certificate that
    cannot be read, and ConfigurationError.
    """
    inspection = _Inspection(target, settings, config or DriverConfig(), starttls_prepare(starttls))
    shown = await inspection.shown()
    if not shown:
        raise TransportError(f"{target.host} port {target.port} shows no certificate")
    path: tuple[bytes, ...] = ()
    unverified = refusal = identity = None
    # The verdict first: it has looked for issuers that were not shown.
    try:
        identity = await inspection.verdict()
    except CertificateError as exc:
        refusal = exc
    try:
        path = await inspection.path()
    except CertificateError as exc:
        unverified = exc
    return inspection_result(shown, path, unverified=unverified, identity=identity, refusal=refusal)
