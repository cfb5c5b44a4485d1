"""Messages: one user signed in to a chat server; what the application sees of it all.

    async for message in messages:
        print(message.security.sign, message.sender, message.body)
        await messages.send(message.peer, "heard")

Whom it speaks with, and how, is in `policy`, `peers`, `sessions`, `sending` and `receiving`.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from softphone.errors import ConfigurationError, SoftphoneError, TransportError
from softphone.messaging.account_compliance import Oversight
from softphone.messaging.compliance import HookChain, Kind, MessageHook
from softphone.messaging.config import MessagingConfig
from softphone.messaging.delivery import Clerk
from softphone.messaging.delivery.receiver import Receiver
from softphone.messaging.delivery.sender import Parts, Sender, Sent
from softphone.messaging.e2e import Frame
from softphone.messaging.e2e.peers import Peers
from softphone.messaging.e2e.session import ClientSession
from softphone.messaging.e2e.sessions import Sessions
from softphone.messaging.files import FileTransfer, Moved
from softphone.messaging.files.upload import Upload
from softphone.messaging.message import Message, Presence, Show
from softphone.messaging.server_location import Asks
from softphone.messaging.storage import Archive, DatabaseNetwork
from softphone.messaging.xmpp.connection import Link, Pace
from softphone.messaging.xmpp.group_chat import Rooms
from softphone.messaging.xmpp.stream import CLIENT_TLS, XmppStream
from softphone.net.http import HttpsEnvironment
from softphone.net.verified import Connector, ConnectorConfig
from softphone.sans_io import Entropy
from softphone.security import TlsVersion
from softphone.trust import ClientCertificates, Service, TlsSettings, client_context

__all__ = ["Messages", "Surroundings"]

_GREET_WITHIN = 10.0


def _utc() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a phone gives its messages: the network, entropy, the hook of compliance, the clock."""

    connector: ConnectorConfig
    dns: Asks
    entropy: Entropy
    hook: MessageHook | None = None
    pace: Pace = field(default_factory=Pace)
    wall: Callable[[], datetime] = _utc


class Messages:
    """An async context: signed in while it lasts, and again by itself after a cut.

    Iterate over it for what comes; one task may do so at a time.
    """

    def __init__(self, config: MessagingConfig, surroundings: Surroundings) -> None:
        entropy = surroundings.entropy
        self._config = config
        tls = _server_settings(config)
        connector = Connector(tls, surroundings.connector)
        self._link = Link(
            config, connector, surroundings.dns, entropy=entropy, pace=surroundings.pace
        )
        self._peers = Peers(config.jid, config.approve, asks=config.policy.negotiates)
        self._rooms = Rooms(config.policy)
        self._around = surroundings
        self._clerk = Clerk(config.jid, config.history, surroundings.hook)
        self._receiver = Receiver(
            config.policy, self._rooms, self._clerk, self._hold, surroundings.wall
        )
        self._sessions: Sessions | None = None
        if config.policy.negotiates:
            self._sessions = Sessions(
                _client_settings(config),
                connector.gate,
                entropy,
                self._encrypted,
                patience=config.timeout,
            )
            self._peers.on_gone = self._sessions.drop
        parts = Parts(
            config.policy, self._link, self._peers, self._rooms, self._clerk, self._sessions
        )
        self._sender = Sender(config.jid, parts, entropy=entropy, wall=surroundings.wall)
        resource = config.resource or f"softphone-{entropy(6).hex()}"
        self._stream = XmppStream(config, resource, client_context(tls), entropy, self._link.ended)
        self._upload = Upload()
        self._oversight: Oversight | None = None
        self._shown = Presence(config.jid, Show.AVAILABLE)
        self._greeted = asyncio.Event()
        self._greeting: asyncio.Task[None] | None = None
        self._judging: asyncio.Task[None] | None = None
        self._furnish()

    def _furnish(self) -> None:
        parts = (self._link, self._peers, self._rooms, self._receiver, self._sender, self._upload)
        for part in parts:
            part.attach(self._stream)
        if self._sessions is not None:
            self._sessions.attach(self._stream)
        self._link.on_up = self._came_up
        self._link.on_out = self._signed_out

    def _encrypted(self, session: ClientSession, frame: Frame) -> None:
        self._peers.proved(session.peer)
        self._receiver.encrypted(session, frame)

    # Being signed in

    async def __aenter__(self) -> Self:
        """Sign in.

        Raises TransportError, CertificateError, CipherRefused, SignInRefused, ConfigurationError;
        AuditError when compliance cannot write its decisions down.
        """
        try:
            await self._begin_oversight()
            if self._config.history.archive is not None:
                network = DatabaseNetwork(self._config.tls, self._around.connector)
                archive = Archive(self._config.history, self._config.jid, network)
                self._clerk.archive = await archive.__aenter__()
            self._judging = asyncio.get_running_loop().create_task(self._receiver.run())
            await self._link.sign_in()
            async with asyncio.timeout(self._config.timeout):
                await self._greeted.wait()
        except TimeoutError as exc:
            await self.close()
            raise TransportError(f"{self._config.domain} did not finish the sign-in") from exc
        except BaseException:
            await self.close()
            raise
        return self

    async def _begin_oversight(self) -> None:
        compliance, around = self._config.compliance, self._around
        if compliance is None:
            return
        network = HttpsEnvironment(around.connector.resolve, around.wall, around.connector.fetcher)
        self._oversight = await Oversight(self.jid, compliance, network).__aenter__()
        hook = around.hook
        self._clerk.hook = self._oversight if hook is None else HookChain((hook, self._oversight))

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Sign out: sessions are closed, history in memory is gone."""
        if self._sessions is not None:
            await self._sessions.close(tell=self._link.up)
        for task in (self._greeting, self._judging):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        await self._link.close()
        self._signed_out(TransportError("signed out"))
        self._clerk.history.clear()
        archive, self._clerk.archive = self._clerk.archive, None
        if archive is not None:
            await archive.__aexit__(None, None, None)
        oversight, self._oversight = self._oversight, None
        if oversight is not None:
            await oversight.__aexit__(None, None, None)

    @property
    def jid(self) -> str:
        """Our bare JID."""
        return self._config.jid

    @property
    def up(self) -> bool:
        """Whether the server is reached now; else what is sent waits."""
        return self._link.up

    @property
    def counters(self) -> Counter[str]:
        """What came and was not shown, by cause."""
        counters = Counter(self._receiver.counters)
        counters["dropped_unread"] = self._receiver.inbox.dropped
        return counters

    # Talking

    async def send(self, to: str, body: str, *, within: float | None = None) -> Sent:
        """Send a message to a user (bare JID), or to a room that was joined.

        Returns when the server has it, or, client to client, the other client.  Raises
        MessageRefused when policy forbids it, and then nothing was sent; MessageUndelivered,
        TransportError, CertificateError and its kin when it did not go through.
        """
        with self._receiver.inbox.sending():
            return await self._sender.send(
                to, body, within=self._config.timeout if within is None else within
            )

    async def send_file(
        self, to: str, path: str | os.PathLike[str], *, kind: Kind = Kind.FILE
    ) -> Sent:
        """Send a file, or a capture of the screen: upload it, and tell where it is.

        It lies at a server, so it has a lock and never a key.  Raises ConfigurationError without
        an audit table, TransferRefused and MessageRefused when policy forbids it (then nothing of
        it was sent), AuditError, TransferError, and what `send` raises.
        """
        files = self._files()
        self._sender.check_file(to)
        moved = await files.send(Path(path), self._upload.slot, to, kind)
        with self._receiver.inbox.sending():
            return await self._sender.send(
                to, moved.url, within=self._config.timeout, file=moved.url
            )

    async def fetch_file(self, message: Message, into: str | os.PathLike[str]) -> Moved:
        """Fetch the file that a message is about, to the new file `into` (0600).

        Raises ConfigurationError without an audit table, or for a message without a file;
        TransferRefused, AuditError, TransferError, TransportError, CertificateError.
        """
        if not message.file:
            raise ConfigurationError("the message is not about a file")
        return await self._files().fetch(message.file, Path(into), message.peer)

    def _files(self) -> FileTransfer:
        if self._oversight is None:
            raise ConfigurationError(
                "im.compliance.audit: files come and go with an audit table only: name one"
            )
        return self._oversight.files

    def __aiter__(self) -> AsyncIterator[Message]:
        return self

    async def __anext__(self) -> Message:
        message = await self._receiver.inbox.take()
        if message is None:
            raise StopAsyncIteration
        return message

    def history(self, peer: str) -> tuple[Message, ...]:
        """What was said with a peer, or in a room, since sign-in."""
        return self._clerk.history.of(peer)

    def close_conversation(self, peer: str) -> None:
        """Its window is closed: with `disable_history` it is forgotten now."""
        self._clerk.conversation_closed(peer)

    # Who is there

    @property
    def peers(self) -> tuple[Presence, ...]:
        """Everybody on the roster, with their presence."""
        return self._peers.list()

    def presence(self, peer: str) -> Presence:
        """How available somebody is."""
        return self._peers.presence(peer)

    async def add(self, peer: str, *, within: float = 5.0) -> Presence:
        """Ask to see somebody's presence, and wait a little for it."""
        return await self._peers.add(peer, within=within)

    def show(self, show: Show, status: str = "") -> None:
        """Say how available we are."""
        self._shown = Presence(self._config.jid, show, status)
        if self._link.up:
            self._send_presence()

    # Rooms

    async def join(self, room: str, nick: str | None = None) -> None:
        """Enter a group chat.  Raises MessageRefused, MessagingError."""
        await self._rooms.join(room, nick or self._config.jid.partition("@")[0])

    def leave(self, room: str) -> None:
        """Leave it."""
        self._rooms.leave(room)

    # A session begins

    def _came_up(self, resumed: bool) -> None:
        self._receiver.inbox.release()
        if resumed:
            self._sender.came_up(resumed=True)
            return
        self._peers.clear()
        if self._greeting is not None:
            self._greeting.cancel()
        self._greeting = asyncio.get_running_loop().create_task(self._greet())

    async def _greet(self) -> None:
        """Say who we are and what we can, and hear who is there."""
        stream = self._stream
        if self._sessions is not None:
            await self._sessions.close(tell=False)
            await stream.plugin_of("xep_0030").add_feature(CLIENT_TLS)
            await stream.plugin_of("xep_0115").update_caps(broadcast=False)
        await stream.get_roster(timeout=_GREET_WITHIN)
        self._send_presence()
        # The answer to a ping comes after the presence of everybody on the same server.
        ping = stream.plugin_of("xep_0199")
        await ping.ping(stream.boundjid.domain, timeout=_GREET_WITHIN)
        await self._rooms.join_again()
        self._sender.came_up(resumed=False)
        self._greeted.set()

    def _send_presence(self) -> None:
        show = self._shown.show
        self._stream.send_presence(
            pshow=None if show is Show.AVAILABLE else show.value, pstatus=self._shown.status or None
        )

    def _signed_out(self, error: SoftphoneError) -> None:
        self._sender.signed_out(error)
        self._receiver.inbox.end()

    def _hold(self, held: bool) -> None:
        self._stream.hold(held)


def _server_settings(config: MessagingConfig) -> TlsSettings:
    """With a password TLS 1.2, whose channel binding Python has; AES 256 only in any case."""
    binds = config.password is not None and config.tls.minimum is TlsVersion.TLS_1_2
    return replace(
        config.tls,
        service=Service.XMPP,
        aes_256=True,
        maximum=TlsVersion.TLS_1_2 if binds else None,
        protocols=("xmpp-client",),
    )


def _client_settings(config: MessagingConfig) -> TlsSettings:
    """Between clients: both show certificates, nobody is asked, and no server's pin counts."""
    return replace(
        config.tls,
        service=Service.XMPP_USER,
        aes_256=True,
        client_certificates=ClientCertificates.REQUIRED,
        pin=None,
        unknown=None,
    )
