"""Downloading one file over HTTP, in clear or behind the gate: bounded in size and in time.

GET on httpcore (RFC 9110, RFC 9112).  Every connection, TLS or not, is made by the rooms that
make all others, so that a server's certificate is judged before a byte is asked for.  No redirect
is followed, no proxy, cookie or credential is used.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpcore

from softphone.errors import SoftphoneError, TransportError, TransportTimeout
from softphone.machine import Flow, PeerIdentity, Target
from softphone.net.dialer import Dialer, Resolver, system_addresses
from softphone.net.handshake import Gate, TlsClient
from softphone.net.http import RevocationFetcher
from softphone.net.limits import Limits
from softphone.net.slots import Slots
from softphone.net.stream import StreamConnection
from softphone.trust import TlsSettings

__all__ = ["AnswerTooLarge", "DownloadLimits", "Downloaded", "Downloader"]

_FAILURES = (
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.TimeoutException,
    httpcore.UnsupportedProtocol,
    OSError,
)
_READ_AHEAD = 1 << 16


class AnswerTooLarge(TransportError):
    """The server sends more than is taken."""


@dataclass(frozen=True, slots=True)
class DownloadLimits:
    """`size` in bytes, `within` in seconds for a whole download."""

    size: int = 1 << 20
    within: float = 20.0


@dataclass(frozen=True, slots=True)
class Downloaded:
    """The status of an answer, its body when the status is 200, and who was behind TLS."""

    status: int
    body: bytes = field(default=b"", repr=False)
    identity: PeerIdentity | None = None


class _Wire(httpcore.AsyncNetworkStream):
    """A connection of ours, as httpcore wants it; it reads ahead by little."""

    def __init__(self) -> None:
        self.connection: StreamConnection | None = None
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._ended = False
        self._failure: SoftphoneError | None = None
        self._news = asyncio.Event()

    # StreamOwner

    def received(self, flow: Flow, data: bytes) -> None:
        """Keep what has come; a server that sends faster than we read waits."""
        self._pieces.append(data)
        self._size += len(data)
        if self._size > _READ_AHEAD and self.connection is not None:
            self.connection.transport.pause_reading()
        self._news.set()

    def ended(self, flow: Flow, error: SoftphoneError | None) -> None:
        """The connection is gone."""
        self._ended, self._failure = True, error
        self._news.set()

    def wants_flush(self, connection: StreamConnection) -> None:
        """Write in this turn of the loop."""
        asyncio.get_running_loop().call_soon(connection.flush)

    # httpcore

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
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
        if self.connection is None or self._ended:
            raise httpcore.WriteError("the connection is gone")
        self.connection.write(bytes(buffer))

    async def aclose(self) -> None:
        if self.connection is not None:
            self.connection.abort()
            await self.connection.finished

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        # TLS was made, and judged, before httpcore got the connection.
        raise httpcore.UnsupportedProtocol("TLS is not made here")

    def get_extra_info(self, info: str) -> Any:
        return None


class _Network(httpcore.AsyncNetworkBackend):
    """Connects to one target, whatever host httpcore names; `failure` is why it could not."""

    def __init__(self, dialer: Dialer, target: Target, limits: Limits) -> None:
        self._dialer = dialer
        self._target = target
        self._limits = limits
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
        wire = _Wire()

        def make(credential: bool) -> StreamConnection:
            return StreamConnection(wire, self._limits, client=True, credential=credential)

        try:
            connection, self.identity = await self._dialer.open(self._target, make)
        except SoftphoneError as exc:
            self.failure = exc
            raise httpcore.ConnectError(str(exc)) from exc
        wire.connection = connection
        flow = Flow(0, self._target.transport, connection.local, connection.remote, self.identity)
        connection.attach(flow)
        return wire


class Downloader:
    """Downloads files; with `tls` it can do so over HTTPS, by these settings and no others."""

    def __init__(
        self,
        *,
        tls: TlsSettings | None = None,
        resolve: Resolver = system_addresses,
        limits: DownloadLimits | None = None,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._limits = limits or DownloadLimits()
        self._net = Limits()
        slots = Slots(self._net.handshakes, self._net.handshakes_waiting)
        gate = Gate(
            limits=self._net,
            slots=slots,
            wall=wall,
            fetcher=RevocationFetcher(resolve=resolve, wall=wall),
        )
        client = TlsClient(gate, {} if tls is None else {"": tls})
        self._dialer = Dialer(limits=self._net, tls=client, resolve=resolve)

    async def get(self, target: Target, path: str) -> Downloaded:
        """The answer for `path`, over TCP or TLS as `target` says.

        Raises AnswerTooLarge, TransportTimeout, TransportError; CertificateError and its kin for a
        server that did not pass the gate; ConfigurationError for TLS without settings.
        """
        network = _Network(self._dialer, target, self._net)
        place = f"{target.host} port {target.port}"
        try:
            async with asyncio.timeout(self._limits.within):
                status, body = await self._get(network, target, path)
        except TimeoutError as exc:
            raise TransportTimeout(
                f"{place} did not send {path} within {self._limits.within:g} s"
            ) from exc
        except _FAILURES as exc:
            if network.failure is not None:
                raise network.failure from exc
            raise TransportError(f"{path} did not come from {place}: {exc or 'cut'}") from exc
        return Downloaded(status, body, network.identity)

    async def _get(self, network: _Network, target: Target, path: str) -> tuple[int, bytes]:
        host = f"[{target.host}]" if ":" in target.host else target.host
        # To httpcore every connection is in clear: what is under it is not its affair.
        url = f"http://{host}:{target.port}/{quote(path)}"
        headers = [(b"Accept", b"*/*"), (b"Connection", b"close")]
        data = bytearray()
        async with (
            httpcore.AsyncConnectionPool(network_backend=network, http2=False) as pool,
            pool.stream("GET", url, headers=headers) as response,
        ):
            if response.status == 200:
                async for chunk in response.aiter_stream():
                    data += chunk
                    if len(data) > self._limits.size:
                        raise AnswerTooLarge(
                            f"{path} is larger than {self._limits.size} bytes: it is not taken"
                        )
            return response.status, bytes(data)
