"""Accepts TCP and TLS connections at a limited rate and takes each through its handshake.

Connections that the token bucket does not admit yet stay in the kernel's backlog.  A TLS client
gets a handshake slot only when its whole ClientHello has arrived, in turn with other sources; until
then its bytes stay unread.  One deadline bounds all of this.

Trusted sources have no limit of their own.  Instead the listener stops accepting while many of
their handshakes are unfinished, so that thousands of clients wait in the kernel, where no deadline
runs.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from softphone.errors import CertificateError, SoftphoneError, TransportError
from softphone.net.dscp import mark_socket
from softphone.net.limits import TransportLimits, source_of
from softphone.net.stream.client_hello import whole_client_hello
from softphone.net.stream.connection import StreamConnection, address_of
from softphone.net.stream.tls_handshake import AcceptedClient, TlsServer
from softphone.rate_limit import TokenBucket
from softphone.sans_io import Address, PeerIdentity, Transport

logger = logging.getLogger("softphone.net")

_BACKLOG = 512
_PAUSE_ON_ERROR = 0.2  # EMFILE and similar errors pass when connections end


class StreamListenerOwner(Protocol):
    """The callbacks that a listener needs from its owner."""

    def make_connection(self) -> StreamConnection:
        """Make a server-side connection."""

    def stream_accepted(
        self, connection: StreamConnection, transport: Transport, identity: PeerIdentity | None
    ) -> None:
        """Take a connection that has passed its handshake and the gate.  Raises TransportError."""

    def stream_refused(self, remote: Address, error: SoftphoneError) -> None:
        """Note a connection that was refused."""


def bind_stream(address: Address, dscp: int = 0) -> socket.socket:
    """Bind a listening socket; accepted ones inherit its mark `dscp`.  Raises TransportError."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if dscp:
            mark_socket(sock, dscp)
        sock.bind(address)
        sock.listen(_BACKLOG)
    except OSError as exc:
        sock.close()
        raise TransportError(
            f"TCP {address[0]} port {address[1]} cannot be bound: {exc.strerror or exc}"
        ) from exc
    return sock


class StreamListener:
    """One listening socket; with `tls` None it accepts in clear."""

    def __init__(
        self,
        owner: StreamListenerOwner,
        sock: socket.socket,
        *,
        tls: TlsServer | None,
        limits: TransportLimits,
        clock: Callable[[], float],
    ) -> None:
        self._owner = owner
        self._socket = sock
        self.tls = tls
        self._limits = limits
        self._clock = clock
        self._bucket = TokenBucket(rate=limits.accept_rate, burst=limits.accept_burst)
        self._connection_slots = asyncio.Semaphore(limits.connections)
        self._guests: set[asyncio.Task[None]] = set()
        self._trusted_unfinished = 0
        self._trusted_finished = asyncio.Event()
        self._sources: Counter[str] = Counter()
        self._task = asyncio.get_running_loop().create_task(self._serve())

    @property
    def local(self) -> Address:
        """The bound address."""
        return address_of(self._socket.getsockname())

    async def close(self) -> None:
        """Stop accepting and cancel the handshakes that are running."""
        tasks = [self._task, *self._guests]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._socket.close()

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._bucket.seconds_to_token(now=self._clock()))
            while self._trusted_unfinished >= 2 * self._limits.handshakes:
                self._trusted_finished.clear()
                await self._trusted_finished.wait()
            await self._connection_slots.acquire()
            try:
                sock, address = await loop.sock_accept(self._socket)
            except OSError as exc:
                self._connection_slots.release()
                logger.warning("no connection can be accepted: %s", exc)
                await asyncio.sleep(_PAUSE_ON_ERROR)
                continue
            except BaseException:
                self._connection_slots.release()
                raise
            self._bucket.admit(now=self._clock())
            self._accept_connection(sock, address_of(address))

    def _accept_connection(self, sock: socket.socket, remote: Address) -> None:
        source = source_of(remote[0])
        trusted = self._limits.trusts(remote[0])
        most = self._limits.connections_per_source
        if self._sources[source] >= most and not trusted:
            # One host must not take the connections of all others.
            sock.close()
            self._connection_slots.release()
            crowd = TransportError(f"{source} has {most} connections already")
            self._owner.stream_refused(remote, crowd)
            return
        self._sources[source] += 1
        self._trusted_unfinished += trusted
        task = asyncio.get_running_loop().create_task(self._admit(sock, remote, trusted))
        self._guests.add(task)
        task.add_done_callback(lambda task: self._finish(task, trusted))

    def _finish(self, task: asyncio.Task[None], trusted: bool) -> None:
        """Clean up after a handshake that has finished or failed."""
        self._guests.discard(task)
        if trusted:
            self._trusted_unfinished -= 1
            self._trusted_finished.set()

    def _left(self, source: str) -> None:
        """Uncount a connection of `source` that is gone."""
        self._connection_slots.release()
        self._sources[source] -= 1
        if not self._sources[source]:
            del self._sources[source]

    async def _admit(self, sock: socket.socket, remote: Address, trusted: bool) -> None:
        connection = self._owner.make_connection()
        source = source_of(remote[0])
        connection.on_end = lambda: self._left(source)
        try:
            identity = await self._secured(sock, connection, remote, source, trusted)
            transport = Transport.TCP if self.tls is None else Transport.TLS
            self._owner.stream_accepted(connection, transport, identity)
        except SoftphoneError as exc:
            level = logging.WARNING if isinstance(exc, CertificateError) else logging.INFO
            logger.log(level, "%s port %d was not let in: %s", *remote, exc)
            self._owner.stream_refused(remote, exc)
        finally:
            if not connection.made:
                self._left(source)

    async def _secured(
        self,
        sock: socket.socket,
        connection: StreamConnection,
        remote: Address,
        source: str,
        trusted: bool,
    ) -> PeerIdentity | None:
        loop = asyncio.get_running_loop()
        peer = f"{remote[0]} port {remote[1]}"
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls is None:
                await loop.connect_accepted_socket(lambda: connection, sock)
                return None
        except OSError as exc:
            sock.close()
            raise TransportError(f"{peer} was gone at once: {exc}") from exc
        deadline = loop.time() + self._limits.handshake_timeout
        try:
            await whole_client_hello(sock, deadline)
        except BaseException:
            sock.close()
            raise
        client = AcceptedClient(peer, source, trusted, deadline)
        return await self.tls.accept_verified(sock, connection, client)
