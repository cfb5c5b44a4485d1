"""TCP and TLS connections: one protocol object each, from its handshake to its end.

RFC 3261 section 18.  A new connection is paused and silent; only `attach`, after the gate has
agreed, lets bytes through.  Framing is left to the machine, which gets the bytes as they arrive.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl
import threading
from asyncio.sslproto import SSLProtocol
from collections.abc import Callable
from typing import Protocol, cast
from weakref import WeakKeyDictionary

from softphone.errors import (
    ConnectionLost,
    ServerClosed,
    SoftphoneError,
    TransportError,
    TransportTimeout,
)
from softphone.net.dscp import mark_socket
from softphone.net.limits import TransportLimits
from softphone.sans_io import Address, Flow

_ALERT = re.compile(r"ALERT_([A-Z_]+)")
READ_BUFFER_SIZE = 1 << 16
"""Octets of one read, on any connection."""
_BLANK = bytes(READ_BUFFER_SIZE)


class _ReadBuffer(threading.local):
    """The read buffer that all connections of a thread share.

    Without `view` asyncio allocates 256 KiB for each read and keeps its front as the message;
    messages that live longer than their neighbors then fragment the C library's heap for good.
    """

    def __init__(self) -> None:
        self.view = memoryview(bytearray(READ_BUFFER_SIZE))


_read_buffer = _ReadBuffer()
_encrypted: WeakKeyDictionary[asyncio.AbstractEventLoop, bytearray] = WeakKeyDictionary()
"""What TLS reads into: one of a loop, since a loop may go on in another thread."""
_nobody = asyncio.BufferedProtocol()


def _share_read_buffer(transport: asyncio.BaseTransport) -> None:
    """Let asyncio's TLS read into the buffer of the loop.

    It has 256 KiB a connection, which it copies from at once.  These are private parts of CPython
    3.11 to 3.14; a loop that has others (uvloop's) keeps its own buffer.
    """
    tls = getattr(transport, "_ssl_protocol", None)
    if isinstance(tls, SSLProtocol) and isinstance(getattr(tls, "_ssl_buffer", None), bytearray):
        loop = asyncio.get_running_loop()
        shared = _encrypted.get(loop) or _encrypted.setdefault(loop, bytearray(READ_BUFFER_SIZE))
        # It makes a larger buffer where this one is smaller than the size of a read.
        vars(tls).update(
            max_size=len(shared), _ssl_buffer=shared, _ssl_buffer_view=memoryview(shared)
        )


class ConnectionOwner(Protocol):
    """The callbacks that a connection needs from its owner."""

    def bytes_received(self, flow: Flow, data: bytes) -> None:
        """Called with received bytes."""

    def flow_ended(self, flow: Flow, error: SoftphoneError | None) -> None:
        """Called when the connection is gone; None is a clean end."""

    def request_flush(self, connection: StreamConnection) -> None:
        """Call `flush` once, later in this turn of the loop."""


def address_of(name: object) -> Address:
    """Host and port of what `getsockname` or `getpeername` returns.

    Raises TransportError for None, which asyncio returns for a socket that is already closed.
    """
    if name is None:
        raise TransportError("the far end was gone at once")
    host, port = cast("tuple[str, int]", name)[:2]
    return host, port


def alert_of(exc: BaseException | None) -> str | None:
    """The TLS alert that the far end sent (RFC 8446 section 6), in words, or None."""
    if not isinstance(exc, ssl.SSLError):
        return None
    match = _ALERT.search(getattr(exc, "reason", None) or "")
    return match[1].lower().replace("_", " ") if match else None


class StreamConnection(asyncio.BufferedProtocol):
    """A TCP or TLS connection; on a client `credential` says if it showed a certificate.

    `heard` says whether the far end has sent any bytes.
    """

    def __init__(
        self,
        owner: ConnectionOwner,
        limits: TransportLimits,
        *,
        client: bool,
        credential: bool = False,
    ) -> None:
        self._owner = owner
        self._limits = limits
        self._client = client
        self._credential = credential
        self._transport: asyncio.Transport | None = None
        self._flow: Flow | None = None
        self._pending: list[bytes] = []
        self._pending_size = 0
        self._timer: asyncio.TimerHandle | None = None
        self._failure: SoftphoneError | None = None
        self._closing = False
        self.heard = False
        self._writable: asyncio.Future[None] | None = None
        self._loop = asyncio.get_running_loop()
        self.finished: asyncio.Future[None] = self._loop.create_future()
        self.on_end: Callable[[], None] | None = None

    @property
    def flow(self) -> Flow | None:
        """The flow, once attached; None before."""
        return self._flow

    @property
    def made(self) -> bool:
        """Whether the event loop has made the connection; then its end completes `finished`."""
        return self._transport is not None

    @property
    def local(self) -> Address:
        """Our address."""
        return address_of(self.transport.get_extra_info("sockname"))

    @property
    def remote(self) -> Address:
        """The far end's address."""
        return address_of(self.transport.get_extra_info("peername"))

    @property
    def transport(self) -> asyncio.Transport:
        """The event loop's transport.  Raises TransportError before there is one."""
        if self._transport is None:
            raise TransportError("the connection is not made")
        return self._transport

    @property
    def ssl_object(self) -> ssl.SSLObject | None:
        """The TLS session, or None in clear."""
        return cast("ssl.SSLObject | None", self.transport.get_extra_info("ssl_object"))

    @property
    def session(self) -> tuple[str, str] | None:
        """The protocol and the cipher of a TLS connection; None in clear."""
        session = self.ssl_object
        cipher = None if session is None else session.cipher()
        return None if cipher is None else (cipher[1], cipher[0])

    def attach(self, flow: Flow) -> None:
        """Let bytes through after the gate has agreed."""
        self._flow = flow
        if self.finished.done():
            self._loop.call_soon(self._owner.flow_ended, flow, self._reason(None))
            return
        if not self._client:
            self._timer = self._loop.call_later(self._limits.first_byte_timeout, self._silent)
        self.transport.resume_reading()

    def write(self, data: bytes) -> None:
        """Queue bytes; all bytes queued in one turn of the loop are one write."""
        if self._closing or not data or self._transport is None:
            return
        self._pending.append(data)
        self._pending_size += len(data)
        waiting = self._pending_size + self._transport.get_write_buffer_size()
        if waiting > self._limits.write_buffer:
            self.abort(TransportError(f"the far end takes nothing: {waiting} bytes wait for it"))
        elif len(self._pending) == 1:
            self._owner.request_flush(self)

    def flush(self) -> None:
        """Write the queued bytes."""
        if self._pending and self._transport is not None and not self.finished.done():
            data = b"".join(self._pending)
            self._pending.clear()
            self._pending_size = 0
            self._transport.write(data)

    async def drained(self) -> None:
        """Wait until the far end has taken most of what was flushed, or is gone."""
        if self._writable is not None:
            await asyncio.shield(self._writable)

    def close(self) -> None:
        """End the connection once everything has been written."""
        self.flush()
        self._closing = True
        # After a second `close` asyncio's TLS never reports the end of the connection.
        if self._transport is not None and not self._transport.is_closing():
            self._transport.close()

    def abort(self, failure: SoftphoneError | None = None) -> None:
        """End the connection now and drop queued bytes."""
        self._failure = self._failure or failure
        self._closing = True
        self._pending.clear()
        self._pending_size = 0
        if self._transport is not None:
            self._transport.abort()

    # asyncio.BufferedProtocol -----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Stay paused until `attach`: nothing is read, nothing is written."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.pause_reading()
        _share_read_buffer(transport)

    def get_buffer(self, _sizehint: int) -> memoryview:
        """The buffer to read into, until `buffer_updated`."""
        return _read_buffer.view

    def buffer_updated(self, nbytes: int) -> None:
        """Pass on the bytes read and clear the buffer, which may hold keys."""
        view = _read_buffer.view
        data = bytes(view[:nbytes])
        view[:nbytes] = bytes(nbytes)
        if not self.heard:
            self.heard = True
            self._disarm()
        if self._flow is not None and not self._closing:
            self._owner.bytes_received(self._flow, data)

    def pause_writing(self) -> None:
        """Start `write_timeout`, within which the slow far end must take some bytes."""
        self._disarm()
        self._timer = self._loop.call_later(self._limits.write_timeout, self._stuck)
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        """Stop the time-out: the far end has taken some bytes."""
        self._disarm()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Report the end to the owner, with the cause."""
        self._disarm()
        self._wake()
        self._pending.clear()
        # A TLS read that was cut short has left bytes in the buffer.
        _read_buffer.view[:] = _BLANK
        on_end, self.on_end = self.on_end, None
        try:
            if on_end is not None:
                on_end()
        finally:
            if not self.finished.done():
                self.finished.set_result(None)
            if self._flow is not None:
                self._owner.flow_ended(self._flow, self._reason(exc))
            if self._transport is not None:
                # asyncio's TLS keeps bound methods of its protocol, and so keeps us alive.
                self._transport.set_protocol(_nobody)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    def _stuck(self) -> None:
        waiting = self.transport.get_write_buffer_size()
        seconds = self._limits.write_timeout
        self.abort(
            TransportTimeout(f"the far end took nothing for {seconds:g} s: {waiting} bytes wait")
        )

    def _silent(self) -> None:
        self.abort(TransportTimeout("the far end connected and said nothing"))

    def _reason(self, exc: Exception | None) -> SoftphoneError | None:
        if self._failure is not None or self._closing:
            return self._failure
        secure = self._transport is not None and self.ssl_object is not None
        if self._client and secure and not self.heard:
            return _server_closed(exc, credential=self._credential)
        if exc is None:
            return None
        return ConnectionLost(f"the connection was lost: {exc}")


def _server_closed(exc: Exception | None, *, credential: bool) -> ServerClosed:
    guess = (
        "it probably refused our client certificate"
        if credential
        else "it probably demands a client certificate, and we have shown none"
    )
    alert = alert_of(exc)
    detail = f" (TLS alert: {alert})" if alert else ""
    return ServerClosed(f"closed after the handshake: {guess}{detail}")


def _words(exc: OSError) -> str:
    """The system's error text, in place of asyncio's own."""
    return os.strerror(exc.errno) if exc.errno else str(exc)


async def connect_socket(
    address: Address, within: float, source: str | None = None, dscp: int = 0
) -> socket.socket:
    """A connected, non-blocking TCP socket, from `source` where one is given, marked with `dscp`.

    Raises TransportError, TransportTimeout.
    """
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if dscp:
            mark_socket(sock, dscp)
        if source is not None:
            sock.bind((source, 0))
        async with asyncio.timeout(within):
            await loop.sock_connect(sock, address)
    except TimeoutError as exc:
        sock.close()
        raise TransportTimeout(
            f"{address[0]} port {address[1]} did not answer within {within:g} s"
        ) from exc
    except OSError as exc:
        sock.close()
        raise TransportError(
            f"{address[0]} port {address[1]} cannot be reached"
            f"{'' if source is None else f' from {source}'}: {_words(exc)}"
        ) from exc
    except BaseException:
        sock.close()
        raise
    return sock
