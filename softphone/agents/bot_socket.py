"""The WebSocket to a bot or a service: through the certificate gate, and bounded in every way.

aiohttp speaks RFC 6455 and makes no TLS: over TLS it gets a connection that the gate has passed
already, lent by a private socket.  No proxy, redirect or cookie is used.
"""

from __future__ import annotations

import asyncio
import copy
import socket
from collections.abc import Coroutine, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, NoReturn
from urllib.parse import SplitResult, urlsplit

import aiohttp

from softphone.agents.bot_config import BotConfig
from softphone.agents.dialects import DIALECTS
from softphone.agents.signature import sign_url
from softphone.agents.web_address import place
from softphone.backoff import ExponentialBackoff
from softphone.errors import SoftphoneError, TransportError, TransportTimeout
from softphone.net.driver import LazyFetcher
from softphone.net.stream import ConnectionOwner, StreamConnection, system_addresses
from softphone.net.verified.connector import Connector, ConnectorConfig
from softphone.net.verified.local_relay import LocalRelay
from softphone.sans_io import Entropy, Target, Transport
from softphone.trust import TlsSettings

LARGEST_MESSAGE = 1 << 20
"""Octets of a message of the bot: 60 s of mu-law in base64 are 640 kB."""
SEND_PATIENCE = 10.0
"""Seconds that a message to the bot may wait: a bot that does not read is lost after it."""
HEARTBEAT = 20.0
"""Seconds between pings; a bot that does not answer one in half that time is lost."""
CLOSE_PATIENCE = 2.0
"""Seconds for the closing handshake."""
WITHOUT_CODE = 1005
"""The close code if the close frame has none (RFC 6455 section 7.1.5)."""
_BACKOFF = ExponentialBackoff(first=0.2, longest=2.0)


class _RefusedByBot(TransportError):
    """The bot's server has answered, and does not want the connection: it is not tried again."""


@dataclass(frozen=True)
class SocketTarget:
    """Where a WebSocket is opened: a checked URL, its TLS, our header fields, and who is there.

    `patience` is the time for all attempts in seconds.  `who` is for sentences.  `subprotocol` is
    that of the WebSocket (RFC 6455 section 1.9), "" for none.
    """

    url: str = field(repr=False)  # its path and query may be secret
    tls: TlsSettings
    headers: Mapping[str, str] = field(repr=False)
    patience: float
    who: str = "the bot"
    subprotocol: str = ""

    @property
    def parts(self) -> SplitResult:
        """The URL in parts."""
        return urlsplit(self.url)

    @property
    def place(self) -> str:
        """The URL for logs and sentences: without path and query."""
        return place(self.url)


class BotSocket:
    """One open WebSocket.  `close_code` is why it ended: the bot's or our own; 1006 for lost."""

    def __init__(
        self,
        websocket: aiohttp.ClientWebSocketResponse,
        stack: AsyncExitStack,
        relay: LocalRelay | None,
        who: str,
    ) -> None:
        self._socket = websocket
        self._stack = stack
        self._relay = relay
        self._who = who
        self._own_code: int | None = None
        self.close_reason = ""
        """What the far end's close frame says; "" for nothing."""

    @property
    def close_code(self) -> int:
        """The code of the end."""
        code = self._socket.close_code
        return self._own_code or (WITHOUT_CODE if code == 0 else code) or 1006

    @property
    def failure(self) -> str:
        """Why the connection below was lost, in words; "" where nothing is known."""
        error = None if self._relay is None else self._relay.failure
        return "" if error is None else str(error)

    async def send(self, message: str | bytes) -> None:
        """Send a text message, or octets as a binary one.

        Raises TransportError when the socket has ended, or is stuck.
        """
        if isinstance(message, str):
            sending = self._socket.send_str(message)
        else:
            sending = self._socket.send_bytes(message)
        try:
            await _within(SEND_PATIENCE, sending)
        except TimeoutError as error:
            raise TransportTimeout(f"{self._who} has not read for {SEND_PATIENCE:g} s") from error
        except (OSError, aiohttp.ClientError) as error:
            raise TransportError(f"the connection to {self._who} has ended") from error

    async def receive(self) -> str | None:
        """Return the next message; "" for a binary one, None at the end."""
        message = await self.receive_any()
        return "" if isinstance(message, bytes) else message

    async def receive_any(self) -> str | bytes | None:
        """Return the next message, octets for a binary one, None at the end.

        Yields to the event loop before each frame: aiohttp itself would answer and drop control
        frames without that for as long as they come, and hold up every other call.
        """
        while True:
            await asyncio.sleep(0)
            message = await self._socket.receive()
            if message.type is aiohttp.WSMsgType.TEXT:
                text: str = message.data
                return text
            if message.type is aiohttp.WSMsgType.BINARY:
                octets: bytes = message.data
                return octets
            if message.type is aiohttp.WSMsgType.PONG:
                continue
            if message.type is aiohttp.WSMsgType.CLOSE:
                self.close_reason = message.extra or ""
            if message.type is not aiohttp.WSMsgType.PING or not await self._answer(message.data):
                return None

    async def _answer(self, ping: bytes) -> bool:
        """Answer a ping; return whether the pong could be sent."""
        with suppress(TimeoutError, OSError, aiohttp.ClientError):
            await _within(SEND_PATIENCE, self._socket.pong(ping))
            return True
        return False

    async def wait_for_end(self) -> None:
        """Wait until the socket ends; what the bot says meanwhile is dropped."""
        while await self.receive() is not None:
            pass

    async def close(self, code: int = 1000) -> None:
        """Close the socket, and the connection below, also if canceled; once only."""
        try:
            if self._own_code is None and not self._socket.closed:
                self._own_code = code
                with suppress(TimeoutError, OSError, aiohttp.ClientError):
                    async with asyncio.timeout(CLOSE_PATIENCE):
                        frame = self._socket.send_frame(code.to_bytes(2), aiohttp.WSMsgType.CLOSE)
                        await _within(CLOSE_PATIENCE, frame)
                        if self._socket.close_code is None:
                            await self.wait_for_end()
        finally:
            with suppress(OSError):
                # What a bot has not read would keep the connection open for as long as it likes.
                if (below := self._socket.get_extra_info("socket")) is not None:
                    below.shutdown(socket.SHUT_RDWR)
            await self._stack.aclose()
            # This sends nothing any more, and ends the timers of aiohttp.
            await self._socket.close()


async def _within(seconds: float, sending: Coroutine[Any, Any, None]) -> None:
    """Wait for a frame to be sent.  Raises TimeoutError, and what `sending` raises.

    All senders of an aiohttp socket wait for one future, and canceling one would cancel the others:
    so `sending` is shielded, and may go on after the time-out.
    """
    task = asyncio.ensure_future(sending)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    async with asyncio.timeout(seconds):
        await asyncio.shield(task)


class SocketConnector:
    """Opens WebSockets to one target.  `entropy` gives the random delays between attempts."""

    def __init__(self, target: SocketTarget, network: ConnectorConfig, entropy: Entropy) -> None:
        self._target = target
        self._connector = Connector(target.tls, network)
        self._entropy = entropy

    async def open_socket(self) -> BotSocket:
        """Open a WebSocket, within `patience` seconds and some attempts.

        A bot that cannot be reached, or whose server answers 5xx, is tried again.  Raises
        TransportError and its subclasses, CertificateError, CipherRefused, ConfigurationError.
        """
        loop, target = asyncio.get_running_loop(), self._target
        deadline = loop.time() + target.patience
        failures, failure = 0, ""
        while True:
            try:
                async with asyncio.timeout_at(deadline):
                    return await self._open()
            except TimeoutError as error:
                raise TransportTimeout(
                    f"{target.place} was not joined within {target.patience:g} s{failure}"
                ) from error
            except _RefusedByBot:
                raise
            except TransportError as error:
                delay = _BACKOFF.jittered_delay(failures, entropy=self._entropy)
                failures, failure = failures + 1, f": {error}"
                if loop.time() + delay >= deadline:
                    raise
            await asyncio.sleep(delay)

    async def _open(self) -> BotSocket:
        target = self._target
        async with AsyncExitStack() as stack:
            relay: LocalRelay | None = None
            if target.parts.scheme == "wss":
                relay = await stack.enter_async_context(LocalRelay(self._verified))
                way: aiohttp.BaseConnector = aiohttp.UnixConnector(str(relay.path))
            else:
                way = aiohttp.TCPConnector()
            session = await stack.enter_async_context(
                aiohttp.ClientSession(
                    connector=way,
                    cookie_jar=aiohttp.DummyCookieJar(),
                    timeout=aiohttp.ClientTimeout(total=None),
                    trace_configs=[_without_redirects(target.who)],
                )
            )
            try:
                websocket = await session.ws_connect(
                    # The connection below is one already: what is said on it is plain HTTP.
                    "ws:" + target.url.partition(":")[2],
                    headers={"Host": target.parts.netloc, **target.headers},
                    protocols=[target.subprotocol] if target.subprotocol else (),
                    heartbeat=HEARTBEAT,
                    max_msg_size=LARGEST_MESSAGE,
                    autoping=False,
                    autoclose=False,
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_PATIENCE),
                )
            except aiohttp.WSServerHandshakeError as error:
                raise _refusal(target, error.status) from None
            except (OSError, aiohttp.ClientError) as error:
                failure: SoftphoneError | None = None if relay is None else relay.failure
                raise failure or TransportError(
                    f"{target.place} cannot be joined: {_words(error)}"
                ) from None
            return BotSocket(websocket, stack.pop_all(), relay, target.who)

    async def _verified(self, owner: ConnectionOwner) -> StreamConnection:
        parts = self._target.parts
        target = Target(Transport.TLS, parts.hostname or "", parts.port or 443)
        return await self._connector.open_connection(target, owner)


class BotConnector(SocketConnector):
    """Opens signed WebSockets to one bot."""

    def __init__(self, config: BotConfig, network: ConnectorConfig, entropy: Entropy) -> None:
        super().__init__(_target_of(config), network, entropy)
        self.config = config

    def at(self, url: str) -> BotConnector:
        """Return a connector to another URL of this bot.

        Raises ConfigurationError for a URL that `BotConfig` does not take.
        """
        other = copy.copy(self)
        other.config = replace(self.config, url=url)
        other._target = _target_of(other.config)
        return other


def _target_of(config: BotConfig) -> SocketTarget:
    headers = {}
    if config.token is not None:
        headers["X-Twilio-Signature"] = sign_url(config.url, config.token.reveal())
    protocol = DIALECTS[config.dialect].SUBPROTOCOL
    return SocketTarget(config.url, config.tls, headers, config.patience, subprotocol=protocol)


def system_network() -> ConnectorConfig:
    """Return the network of this host: its resolver, and revocation over HTTP."""
    return ConnectorConfig(LazyFetcher(system_addresses))


def _refusal(target: SocketTarget, status: int) -> TransportError:
    sentence = f"{target.place} answers the handshake with {status}"
    if status == 101:
        sentence = f"{target.place} speaks no WebSocket"
    return TransportError(sentence) if status >= 500 else _RefusedByBot(sentence)


def _words(error: Exception) -> str:
    """Return why a connection failed, without a URL."""
    system = getattr(error, "os_error", error)
    return (isinstance(system, OSError) and system.strerror) or "it has closed the connection"


def _without_redirects(who: str) -> aiohttp.TraceConfig:
    async def refuse(
        session: aiohttp.ClientSession,
        context: SimpleNamespace,
        params: aiohttp.TraceRequestRedirectParams,
    ) -> NoReturn:
        raise _RefusedByBot(f"{who} redirects with {params.response.status}: not followed")

    tracing = aiohttp.TraceConfig()
    tracing.on_request_redirect.append(refuse)
    return tracing
