"""Keeps a user signed in: find a server, connect, resume or begin the session, and reconnect.

RFC 6120 section 3, XEP-0198 (resumption), XEP-0199 (pings detect a dead connection).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from slixmpp.exceptions import IqError, IqTimeout

from softphone.backoff import ExponentialBackoff
from softphone.errors import (
    CertificateError,
    CipherRefused,
    ConfigurationError,
    SignInRefused,
    SoftphoneError,
    TransportError,
    TransportTimeout,
)
from softphone.messaging.config import MessagingConfig
from softphone.messaging.im_presence import CertificateName
from softphone.messaging.server_location import SrvResolver, TlsMode, XmppServer, find_servers
from softphone.messaging.xmpp.starttls import StartTls
from softphone.messaging.xmpp.stream import (
    FetchedCredentialRefused,
    HomeNodeElsewhere,
    XmppStream,
)
from softphone.net.verified.connector import Connector
from softphone.sans_io import Entropy, Target, Transport

logger = logging.getLogger("softphone.messaging")

_FINAL = (CertificateError, CipherRefused, ConfigurationError, SignInRefused)


@dataclass(frozen=True, slots=True)
class ConnectionTimers:
    """Timers in seconds.

    `first` and `longest` bound the backoff between attempts; `ping_every` is the interval of pings,
    `ping_within` the time for an answer.
    """

    first: float = 1.0
    longest: float = 60.0
    ping_every: float = 30.0
    ping_within: float = 15.0


class XmppConnection:
    """Keeps one stream signed in.

    `on_up(resumed)` is called after each sign-in or resumption, `on_down(error)` when a connection
    is lost, and `on_signed_out(error)` when the server refuses the sign-in; then no further attempt
    is made.
    """

    def __init__(
        self,
        config: MessagingConfig,
        connector: Connector,
        dns: SrvResolver,
        *,
        entropy: Entropy,
        timers: ConnectionTimers,
    ) -> None:
        self._config = config
        self._connector = connector
        self._dns = dns
        self._entropy = entropy
        self._timers = timers
        self._stream: XmppStream | None = None
        self._session: asyncio.Future[bool] | None = None
        self._lost = asyncio.Event()
        self._loss: SoftphoneError | None = None
        self._up = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.on_up: Callable[[bool], None] = lambda resumed: None
        self.on_down: Callable[[SoftphoneError | None], None] = lambda error: None
        self.on_signed_out: Callable[[SoftphoneError], None] = lambda error: None

    def attach(self, stream: XmppStream) -> None:
        """Keep this stream signed in."""
        self._stream = stream
        stream.add_event_handler("stream_negotiated", lambda _: self._entered(False))
        stream.add_event_handler("session_resumed", lambda _: self._entered(True))
        stream.add_event_handler("stream_error", self._stream_error)

    @property
    def is_up(self) -> bool:
        """Whether the stream is signed in, so that stanzas can be sent now."""
        return self._up.is_set()

    async def until_up(self) -> None:
        """Wait until the stream is signed in."""
        await self._up.wait()

    async def sign_in(self) -> None:
        """Connect, begin the session, and from then on reconnect when the connection is lost.

        Raises TransportError, CertificateError, CipherRefused, SignInRefused or a subclass.
        """
        await self._attempt()
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._stay()), loop.create_task(self._watch())]

    async def close(self) -> None:
        """Sign out, and stop reconnecting."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        self._up.clear()
        if self._stream is not None:
            await self._stream.end_stream()

    def connection_ended(self, error: SoftphoneError | None) -> None:
        """Record that the connection has ended; a sign-in that runs on it fails with `error`."""
        was_up = self._up.is_set()
        self._up.clear()
        if self._session is not None and not self._session.done():
            reason = error or TransportError(f"{self._config.domain} closed the connection")
            self._session.set_exception(reason)
        if was_up:
            self._loss = error
            self._lost.set()
            self.on_down(error)

    def _entered(self, resumed: bool) -> None:
        if self._session is not None and not self._session.done():
            self._session.set_result(resumed)
            self._lost.clear()
            self._up.set()
            self.on_up(resumed)

    def _stream_error(self, error: object) -> None:
        condition = str(error["condition"]) if hasattr(error, "__getitem__") else "unknown"
        if self._stream is None:
            return
        if condition == "conflict":
            # RFC 6120 section 4.9.3.3.  Two clients that both reconnect would disconnect each other
            # for ever.
            self._stream.refuse(
                SignInRefused(
                    f"{self._config.domain} ended the stream: another client has signed in with the"
                    " name of this one (im.resource)"
                )
            )
            return
        self._stream.refuse(TransportError(f"{self._config.domain} ended the stream: {condition}"))

    async def _attempt(self) -> None:
        """Try the servers in order, and move to the home node that one names, once.

        A one-time password or token that is refused is fetched again, once: it may have expired.
        """
        failure: SoftphoneError | None = None
        waiting = list(await self._candidate_servers())
        tried: set[str] = set()
        moved = again = False
        while waiting:
            server = waiting.pop(0)
            tried.add(server.target.host)
            try:
                return await self._enter(server, None if moved else frozenset(tried))
            except HomeNodeElsewhere as exc:
                moved = True
                logger.info("%s names %s as our home node", server.target.host, exc.host)
                waiting[:0] = [self._node(exc.host), server]
            except FetchedCredentialRefused:
                if again:
                    raise
                again = True
                waiting.insert(0, server)
            except _FINAL:
                raise
            except SoftphoneError as exc:
                failure = failure or exc
        raise failure or TransportError(f"{self._config.domain} has no chat server")

    async def _candidate_servers(self) -> tuple[XmppServer, ...]:
        nodes, domain = self._config.im_presence, self._config.domain
        if self._config.edge is not None:
            return self._config.edge.candidates
        if nodes is not None:
            names = () if self._stream is None else self._stream.node_names
            named = [each for each in names if nodes.may_move_to(each, domain)]
            hosts = dict.fromkeys([*named, *(each.host for each in nodes.nodes)])
            return tuple(self._node(each) for each in hosts)
        server = self._config.named_server
        if server is not None:
            return (server,)
        return await find_servers(domain, self._dns, entropy=self._entropy)

    def _node(self, host: str) -> XmppServer:
        """Return the XMPP service of a node of IM and Presence."""
        nodes = self._config.im_presence
        if nodes is None:
            raise ConfigurationError("im_presence: there are no nodes")
        by_node = nodes.certificate_name is CertificateName.NODE
        name = host if by_node else self._config.domain
        return XmppServer(Target(Transport.TLS, host, nodes.xmpp_port, name), TlsMode.STARTTLS)

    async def _enter(self, server: XmppServer, tried: frozenset[str] | None) -> None:
        """Sign in at one server.

        Raises HomeNodeElsewhere if it names a home node that is not in `tried`; with None it does
        not move.
        """
        stream = self._stream
        if stream is None:
            raise ConfigurationError("there is no stream to sign in with")
        domain = self._config.domain
        preamble = (lambda: StartTls(domain)) if server.mode is TlsMode.STARTTLS else None
        connection = await self._connector.open_connection(server.target, stream, preamble)
        self._session = asyncio.get_running_loop().create_future()
        # An edge finds the home node itself: no other node can be reached from here.
        stream.start_on(connection, server.target, None if self._config.edge else tried)
        try:
            async with asyncio.timeout(self._config.timeout):
                await self._session
        except TimeoutError as exc:
            raise TransportTimeout(
                f"{domain} did not let us in within {self._config.timeout:g} s"
            ) from exc
        finally:
            if not self._up.is_set():
                self._session.cancel()
                connection.abort()
                await connection.finished

    async def _stay(self) -> None:
        backoff = ExponentialBackoff(self._timers.first, self._timers.longest)
        failures = 0
        while True:
            await self._lost.wait()
            if isinstance(self._loss, SignInRefused):
                self._sign_out(self._loss)
                return
            await asyncio.sleep(backoff.jittered_delay(failures, entropy=self._entropy))
            failures += 1
            try:
                await self._attempt()
            except SignInRefused as exc:
                # Further attempts with refused credentials could lock the account.
                self._sign_out(exc)
                return
            except SoftphoneError as exc:
                logger.warning("%s is not signed in: %s", self._config.jid, exc)
            else:
                failures = 0

    def _sign_out(self, error: SignInRefused) -> None:
        logger.error("%s is signed out: %s", self._config.jid, error)
        self.on_signed_out(error)

    async def _watch(self) -> None:
        """Ping the server; abort a connection that does not answer, so that it is replaced."""
        while True:
            await asyncio.sleep(self._timers.ping_every)
            await self._up.wait()
            stream = self._stream
            if stream is None or stream.connection is None or stream.reading_paused:
                continue
            asked = stream.connection
            try:
                ping = stream.plugin_of("xep_0199")
                await ping.send_ping(stream.boundjid.domain, timeout=self._timers.ping_within)
            except IqError:
                continue  # an error is an answer, too: the server does not support pings
            except IqTimeout:
                if stream.connection is asked and not stream.reading_paused:
                    asked.abort(
                        TransportTimeout(
                            f"{self._config.domain} said nothing for {self._timers.ping_within:g} s"
                        )
                    )
