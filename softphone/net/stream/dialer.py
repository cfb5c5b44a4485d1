"""Opens stream connections: resolves a name, connects TCP, and does TLS with its gate.

The choice of host and port by NAPTR and SRV is made above (RFC 3263).  A host has addresses only,
which are tried side by side (RFC 8305), before TLS: the certificate is that of the first to
connect.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from softphone.errors import HostNotFound, SoftphoneError, TransportError, TransportTimeout
from softphone.net.limits import TransportLimits
from softphone.net.stream.address_race import connect_first, interleave_families
from softphone.net.stream.connection import StreamConnection, connect_socket
from softphone.net.stream.tls_handshake import ConnectionOpener, TlsClient
from softphone.sans_io import Address, PeerIdentity, Target, Transport

PrepareSocket: TypeAlias = Callable[[socket.socket], Awaitable[None]]
"""`await prepare(sock)`: does the protocol's exchange in clear before TLS, non-blocking."""

AdmitTarget: TypeAlias = Callable[[Target, PeerIdentity], None]
"""Judges a target whose server has passed the gate, before anything of ours is sent to it."""

HostResolver: TypeAlias = Callable[[str], Awaitable[Sequence[str]]]
"""`await resolve(host)`: the addresses of a name, best first.  Raises TransportError."""

# Not every system has EAI_NODATA.
_NO_SUCH_HOST = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))


async def system_addresses(host: str) -> Sequence[str]:
    """Ask the system's resolver, in the loop's executor.  Raises TransportError, HostNotFound."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as exc:
        # With EAI_AGAIN and the like no server has said that there is none.
        kind = HostNotFound if exc.errno in _NO_SUCH_HOST else TransportError
        raise kind(f"the name {host} has no address: {exc.strerror or exc}") from exc
    except UnicodeError as exc:
        # Of a label that is empty or longer than 63 octets, as a certificate or message may name.
        raise HostNotFound(f"the name {host} has no address: it is no name of DNS") from exc
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


async def addresses_of(host: str, resolve: HostResolver) -> Sequence[str]:
    """The addresses of a host; a numeric host and localhost are not looked up.

    Raises HostNotFound when there is none.
    """
    host = host.strip("[]")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        return [host]
    if host.rstrip(".").lower() == "localhost":  # RFC 6761 section 6.3
        return ["127.0.0.1", "::1"]
    found = await resolve(host)
    if not found:
        raise HostNotFound(f"the name {host} has no address")
    return found


class Dialer:
    """Resolves targets and makes stream connections; it keeps none of them.

    `source` is the local address to connect from; None leaves it to the system.  `dscp` is the code
    point of the packets (RFC 2474).  `admit`, if given, judges each server after the gate, before
    its owner gets the connection; the SoftphoneError that it raises ends the connection.
    """

    def __init__(
        self,
        *,
        limits: TransportLimits,
        tls: TlsClient,
        resolve: HostResolver,
        source: str | None = None,
        dscp: int = 0,
        admit: AdmitTarget | None = None,
    ) -> None:
        self._limits = limits
        self._admit = admit
        self.source = source
        self.dscp = dscp
        self.tls = tls
        self._resolve = resolve

    async def addresses(self, target: Target) -> list[Address]:
        """The addresses of `target`.  Raises TransportError, TransportTimeout."""
        try:
            async with asyncio.timeout(self._limits.connect_timeout):
                found = await addresses_of(target.host, self._resolve)
        except TimeoutError as exc:
            raise TransportTimeout(f"nobody told the address of {target.host} in time") from exc
        return [(address, target.port) for address in found]

    async def open_connection(
        self,
        target: Target,
        make: Callable[[bool], StreamConnection],
        prepare: PrepareSocket | None = None,
    ) -> tuple[StreamConnection, PeerIdentity | None]:
        """Open a connection to `target`, through handshake and gate; `make(credential)` makes it.

        `prepare` gets the bare socket before TLS, to ask the far end for it (STARTTLS); what it
        raises ends the attempt.  Raises TransportError, CertificateError, ConfigurationError, and
        what `admit` raises.
        """
        if target.transport is Transport.TCP:
            sock = await self._dial(target, "TCP")
            connection = make(False)
            await asyncio.get_running_loop().create_connection(lambda: connection, sock=sock)
            identity = None
        else:
            connection, identity = await self.tls.open_verified(
                target, ConnectionOpener(lambda: self.connect_for_tls(target, prepare), make)
            )
        try:
            self.judge_server(target, identity)
        except SoftphoneError as refusal:
            connection.abort(refusal)
            await connection.finished
            raise
        return connection, identity

    def judge_server(self, target: Target, identity: PeerIdentity | None) -> None:
        """Call `admit`, if there is one.  Raises what it raises, TransportError without TLS."""
        if self._admit is None:
            return
        if identity is None:
            raise TransportError(f"{target.host} showed no certificate: nothing was sent")
        self._admit(target, identity)

    async def connect_for_tls(
        self, target: Target, prepare: PrepareSocket | None = None
    ) -> socket.socket:
        """A socket to `target`, ready for TLS.  Raises TransportError, TransportTimeout."""
        # With `prepare` the connection starts in clear, so its errors are those of TCP.
        sock = await self._dial(target, "TLS" if prepare is None else "TCP")
        if prepare is None:
            return sock
        try:
            async with asyncio.timeout(self._limits.handshake_timeout):
                await prepare(sock)
        except TimeoutError as exc:
            sock.close()
            raise TransportTimeout(
                f"{target.host} port {target.port} was not ready for TLS within"
                f" {self._limits.handshake_timeout:g} s"
            ) from exc
        except BaseException:
            sock.close()
            raise
        return sock

    async def _dial(self, target: Target, protocol: str) -> socket.socket:
        addresses = interleave_families(await self.addresses(target))
        within = self._limits.connect_timeout

        def connect(address: Address) -> Awaitable[socket.socket]:
            return connect_socket(address, within, self.source, self.dscp)

        try:
            return await connect_first(addresses, connect, delay=self._limits.attempt_delay)
        except TransportError as exc:
            raise with_port_advice(exc, protocol) from exc.__cause__


def with_port_advice(error: TransportError, protocol: str) -> TransportError:
    """The error of a connection, with advice for a port without a listener."""
    if not isinstance(error.__cause__, ConnectionRefusedError):
        return error
    advice = f"is the server running, and is that its port for {protocol}?"
    advised = TransportError(f"{error}; {advice}")
    advised.__cause__ = error.__cause__
    return advised
