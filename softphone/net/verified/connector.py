"""Verified connections for protocols that are no sans-IO machines: TLS, or STARTTLS before it.

The owner of a connection gets bytes only after the gate has agreed.  The exchange in clear before
TLS (RFC 6120 section 5) is a small sans-IO `StarttlsNegotiation`, run here on the bare socket.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from softphone.errors import TransportError
from softphone.net.limits import TransportLimits
from softphone.net.stream import (
    AdmitTarget,
    CertificateGate,
    ConnectionOwner,
    Dialer,
    Fetcher,
    HandshakeSlots,
    HostResolver,
    PrepareSocket,
    StreamConnection,
    TlsClient,
    system_addresses,
)
from softphone.sans_io import Flow, Target
from softphone.trust import TlsSettings

_READ = 4096


class StarttlsNegotiation(Protocol):
    """The exchange in clear before TLS."""

    def first_bytes(self) -> bytes:
        """The first bytes to send."""

    def answer_bytes(self, data: bytes) -> bytes:
        """The bytes to send in answer.  Raises TransportError when TLS is refused."""

    @property
    def ready_for_tls(self) -> bool:
        """Whether the far end waits for the TLS handshake now."""


def _utc() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class ConnectorConfig:
    """The dependencies of a connector; `fetcher` gets CRLs and OCSP answers.

    `admit`, if given, judges each server after the gate, before its owner gets the connection; the
    SoftphoneError that it raises ends the connection.
    """

    fetcher: Fetcher
    resolve: HostResolver = system_addresses
    limits: TransportLimits = field(default_factory=TransportLimits)
    wall: Callable[[], datetime] = _utc
    admit: AdmitTarget | None = None


class Connector:
    """Opens connections with one set of TLS settings; `gate` also judges other chains by them."""

    def __init__(self, tls: TlsSettings, config: ConnectorConfig) -> None:
        limits = config.limits
        self._limits = limits
        self.gate = CertificateGate(
            limits=limits,
            slots=HandshakeSlots.within(limits),
            wall=config.wall,
            fetcher=config.fetcher,
        )
        client = TlsClient(self.gate, {"": tls})
        self._dialer = Dialer(limits=limits, tls=client, resolve=config.resolve, admit=config.admit)

    async def open_connection(
        self,
        target: Target,
        owner: ConnectionOwner,
        starttls: Callable[[], StarttlsNegotiation] | None = None,
    ) -> StreamConnection:
        """Open a connection to `target` that has passed the gate, and attach it to `owner`.

        `starttls` makes the exchange in clear, again for each attempt.  Raises TransportError,
        CertificateError, CipherRefused, ConfigurationError and their subclasses, and what `admit`
        raises.
        """

        def make(credential: bool) -> StreamConnection:
            return StreamConnection(owner, self._limits, client=True, credential=credential)

        connection, identity = await self._dialer.open_connection(
            target, make, starttls_prepare(starttls)
        )
        flow = Flow(0, target.transport, connection.local, connection.remote, identity)
        connection.attach(flow)
        return connection


def starttls_prepare(starttls: Callable[[], StarttlsNegotiation] | None) -> PrepareSocket | None:
    """Return the `prepare` function of a dialer, which runs a new STARTTLS exchange each time.

    It raises TransportError when TLS is refused.
    """
    if starttls is None:
        return None
    return lambda sock: _converse(sock, starttls())


async def _converse(sock: socket.socket, starttls: StarttlsNegotiation) -> None:
    loop = asyncio.get_running_loop()
    try:
        await loop.sock_sendall(sock, starttls.first_bytes())
        while not starttls.ready_for_tls:
            data = await loop.sock_recv(sock, _READ)
            if not data:
                raise TransportError("the far end closed the connection before TLS")
            answer = starttls.answer_bytes(data)
            if answer:
                await loop.sock_sendall(sock, answer)
    except OSError as exc:
        raise TransportError(f"the connection was lost before TLS: {exc.strerror}") from exc
