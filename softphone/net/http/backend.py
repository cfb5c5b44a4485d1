"""The network backend of httpcore: connections that have passed the certificate gate before use.

httpcore sees every connection as one in clear.  Only this module decides whether TLS is under it
and which host it goes to.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeAlias

import httpcore

from softphone.errors import SoftphoneError, TransportError
from softphone.net.limits import TransportLimits
from softphone.net.stream import StreamConnection
from softphone.sans_io import Flow, PeerIdentity, Target, Transport

OpenConnection: TypeAlias = Callable[
    [Target, Callable[[bool], StreamConnection]],
    Awaitable[tuple[StreamConnection, PeerIdentity | None]],
]
"""`await open(target, make)` returns a usable connection, as `Dialer.open_connection` does."""

HTTP_FAILURES = (
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.TimeoutException,
    httpcore.UnsupportedProtocol,
    OSError,
)
"""The exceptions of httpcore for failures of a peer or the network."""


def _has_no_secret(record: logging.LogRecord) -> bool:
    """Whether a log record of httpcore holds neither a cookie nor a field that cannot be sent."""
    text = record.getMessage()
    return "set-cookie" not in text.lower() and "LocalProtocolError" not in text


# At DEBUG httpcore logs the header fields of responses, and quotes one of ours that is no HTTP;
# nothing else turns that off.
logging.getLogger("httpcore.http11").addFilter(_has_no_secret)

_READ_AHEAD = 1 << 16
_PIECE = 1 << 15
_TURN = 1 << 12
"""Octets that are parsed in one turn of the loop: chunks of one octet each are 700 of them."""


class GatedStream(httpcore.AsyncNetworkStream):
    """A connection of ours as an httpcore stream, with small read and write buffers."""

    def __init__(self) -> None:
        self.connection: StreamConnection | None = None
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._ended = False
        self._failure: SoftphoneError | None = None
        self._news = asyncio.Event()

    # ConnectionOwner

    def bytes_received(self, flow: Flow, data: bytes) -> None:
        """Keep received bytes; reading pauses while the caller is slower than the server."""
        self._pieces.append(data)
        self._size += len(data)
        if self._size > _READ_AHEAD and self.connection is not None:
            self.connection.transport.pause_reading()
        self._news.set()

    def flow_ended(self, flow: Flow, error: SoftphoneError | None) -> None:
        """Record that the connection is gone."""
        self._ended, self._failure = True, error
        self._news.set()

    def request_flush(self, connection: StreamConnection) -> None:
        """Flush in this turn of the loop."""
        asyncio.get_running_loop().call_soon(connection.flush)

    # httpcore

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        """The bytes received, at most `max_bytes`; b"" at the end.

        Yields to the event loop each time: httpcore itself would parse what has come, such as
        thousands of responses of status 103, without letting anything else run.
        """
        await asyncio.sleep(0)
        max_bytes = min(max_bytes, _TURN)
        while not self._pieces and not self._ended:
            self._news.clear()
            await self._news.wait()
        if not self._pieces:
            if self._failure is not None:
                raise httpcore.ReadError(str(self._failure)) from self._failure
            return b""
        data = self._pieces.popleft()
        if len(data) > max_bytes:
            self._pieces.appendleft(data[max_bytes:])
            data = data[:max_bytes]
        self._size -= len(data)
        if self._size <= _READ_AHEAD and self.connection is not None and not self._ended:
            self.connection.transport.resume_reading()
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Write, and wait while the far end is slow."""
        connection = self.connection
        if connection is None or self._ended:
            raise httpcore.WriteError("the connection is gone")
        # A large buffer goes out in pieces, each after the far end has taken most of the last one.
        for start in range(0, len(buffer), _PIECE):
            connection.write(bytes(buffer[start : start + _PIECE]))
            connection.flush()
            await connection.drained()
            if self._ended:
                raise httpcore.WriteError(str(self._failure or "the far end closed"))

    async def aclose(self) -> None:
        """Abort the connection."""
        if self.connection is not None:
            self.connection.abort()
            await self.connection.finished

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        """Refuse: raises UnsupportedProtocol."""
        # TLS was made, and judged, before httpcore got the connection.
        raise httpcore.UnsupportedProtocol("TLS is not made here")

    def get_extra_info(self, info: str) -> Any:
        """None: there is no extra information."""
        return None


class GatedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to one target, whatever host httpcore names; `failure` is why it could not.

    Without a target it connects, in clear, to the host that httpcore names.  `admit`, if given,
    judges the verified server before the connection is handed out; without TLS there is none.
    """

    def __init__(
        self,
        open_connection: OpenConnection,
        limits: TransportLimits,
        target: Target | None = None,
        admit: Callable[[PeerIdentity], None] | None = None,
    ) -> None:
        self._open_connection = open_connection
        self._limits = limits
        self._target = target
        self._admit = admit
        self.identity: PeerIdentity | None = None
        self.failure: SoftphoneError | None = None

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Open a connection to the target; it has passed the gate when this returns."""
        target = self._target or Target(Transport.TCP, host, port)
        wire = GatedStream()

        def make(credential: bool) -> StreamConnection:
            return StreamConnection(wire, self._limits, client=True, credential=credential)

        try:
            connection, self.identity = await self._open_connection(target, make)
        except SoftphoneError as exc:
            self.failure = exc
            raise httpcore.ConnectError(str(exc)) from exc
        wire.connection = connection
        flow = Flow(0, target.transport, connection.local, connection.remote, self.identity)
        connection.attach(flow)
        try:
            self._judge_server(target)
        except SoftphoneError as exc:
            self.failure = exc
            await wire.aclose()
            raise httpcore.ConnectError(str(exc)) from exc
        return wire

    def _judge_server(self, target: Target) -> None:
        """Call `admit`, if there is one.  Raises what it raises, TransportError without TLS."""
        if self._admit is None:
            return
        if self.identity is None:
            raise TransportError(f"{target.host} showed no certificate: nothing was sent")
        self._admit(self.identity)
