"""MessagingClient: the application's handle on one user signed in to a chat server.

    async for message in messages:
        print(message.security.sign, message.sender, message.body)
        await messages.send(message.peer, "heard")

Encryption rules, sessions and delivery are in `encryption_policy`, `e2e` and `delivery`.
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
from softphone.messaging.account_compliance import AccountCompliance
from softphone.messaging.compliance import ContentKind, HookChain, MessageHook
from softphone.messaging.config import MessagingConfig
from softphone.messaging.delivery import MessageProcessor
from softphone.messaging.delivery.receiver import Receiver
from softphone.messaging.delivery.sender import Sender, SenderDependencies, SentMessage
from softphone.messaging.e2e import Frame
from softphone.messaging.e2e.peers import Peers
from softphone.messaging.e2e.session import ClientSession
from softphone.messaging.e2e.sessions import ClientSessions
from softphone.messaging.files import FileTransfer, TransferredFile
from softphone.messaging.files.upload import UploadService
from softphone.messaging.im_presence import ClientConfigurationService
from softphone.messaging.message import Availability, Message, Presence
from softphone.messaging.server_location import SrvResolver
from softphone.messaging.storage import DatabaseConnector, MessageArchive
from softphone.messaging.xmpp.connection import ConnectionTimers, XmppConnection
from softphone.messaging.xmpp.group_chat import GroupChats
from softphone.messaging.xmpp.stream import CLIENT_TLS, XmppStream
from softphone.net.http import HttpsEnvironment, HttpsTunnel
from softphone.net.verified.connector import Connector, ConnectorConfig
from softphone.sans_io import Entropy
from softphone.security import ClientCertificates, TlsVersion
from softphone.trust import Service, TlsSettings, client_context

_GREET_WITHIN = 10.0


def _utc() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class MessagingEnvironment:
    """The dependencies of a client, which its phone supplies: network, entropy, hook, clock.

    With a `tunnel` every HTTPS request goes through it.
    """

    connector: ConnectorConfig
    dns: SrvResolver
    entropy: Entropy
    hook: MessageHook | None = None
    timers: ConnectionTimers = field(default_factory=ConnectionTimers)
    wall: Callable[[], datetime] = _utc
    tunnel: HttpsTunnel | None = None


class MessagingClient:
    """An async context manager: stays signed in, and reconnects by itself.

    Iterate over it for incoming messages; one task may do so at a time.
    """

    def __init__(self, config: MessagingConfig, environment: MessagingEnvironment) -> None:
        entropy = environment.entropy
        self._config = config
        tls = _server_settings(config)
        connector = Connector(tls, environment.connector)
        self._connection = XmppConnection(
            config, connector, environment.dns, entropy=entropy, timers=environment.timers
        )
        self._peers = Peers(config.jid, config.approve, encrypts=config.policy.negotiates)
        self._group_chats = GroupChats(config.policy)
        self._environment = environment
        self._processor = MessageProcessor(config.jid, config.history, environment.hook)
        wall, scope = environment.wall, config.server_scope
        self._receiver = Receiver(
            config.policy, self._group_chats, self._processor, self._hold, wall, scope
        )
        self._sessions: ClientSessions | None = None
        if config.policy.negotiates:
            self._sessions = ClientSessions(
                _client_settings(config),
                connector.gate,
                entropy,
                self._encrypted,
                patience=config.timeout,
            )
            self._peers.on_gone = self._sessions.drop_client
        parts = SenderDependencies(
            config.policy,
            self._connection,
            self._peers,
            self._group_chats,
            self._processor,
            self._sessions,
            scope,
        )
        self._sender = Sender(config.jid, parts, entropy=entropy, wall=wall)
        resource = config.resource or f"softphone-{entropy(6).hex()}"
        self._stream = XmppStream(
            config, resource, client_context(tls), entropy, self._connection.connection_ended
        )
        self._upload = UploadService()
        self._compliance: AccountCompliance | None = None
        self._shown = Presence(config.jid, Availability.AVAILABLE)
        self._error: SoftphoneError | None = None
        self._greeted = asyncio.Event()
        self._greeting: asyncio.Task[None] | None = None
        self._judging: asyncio.Task[None] | None = None
        self._attach_parts()

    def _attach_parts(self) -> None:
        self._service = _configuration_service(self._config, self._environment)
        self._stream.service = self._service
        parts = (
            self._connection,
            self._peers,
            self._group_chats,
            self._receiver,
            self._sender,
            self._upload,
        )
        for part in parts:
            part.attach(self._stream)
        if self._sessions is not None:
            self._sessions.attach(self._stream)
        self._connection.on_up = self._came_up
        self._connection.on_signed_out = self._lost

    def _encrypted(self, session: ClientSession, frame: Frame) -> None:
        self._peers.mark_encrypting(session.peer)
        self._receiver.handle_encrypted(session, frame)

    # Signing in and out

    async def __aenter__(self) -> Self:
        """Sign in.

        Raises TransportError, CertificateError, CipherRefused, SignInRefused, ConfigurationError;
        AuditError when the audit table or the third-party archive cannot be opened.
        """
        try:
            await self._start_compliance()
            if self._config.history.archive is not None:
                network = DatabaseConnector(self._config.tls, self._environment.connector)
                archive = MessageArchive(self._config.history, self._config.jid, network)
                self._processor.archive = await archive.__aenter__()
            self._judging = asyncio.get_running_loop().create_task(self._receiver.run())
            await self._connection.sign_in()
            async with asyncio.timeout(self._config.timeout):
                await self._greeted.wait()
        except TimeoutError as exc:
            await self.close()
            raise TransportError(f"{self._config.domain} did not finish the sign-in") from exc
        except BaseException:
            await self.close()
            raise
        return self

    async def _start_compliance(self) -> None:
        compliance, environment = self._config.compliance, self._environment
        if compliance is None:
            return
        network = _https_environment(environment)
        self._compliance = await AccountCompliance(self.jid, compliance, network).__aenter__()
        hook = environment.hook
        self._processor.hook = (
            self._compliance if hook is None else HookChain((hook, self._compliance))
        )

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Sign out; sessions are closed, and history in memory is lost."""
        if self._sessions is not None:
            await self._sessions.close(tell=self._connection.is_up)
        for task in (self._greeting, self._judging):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        await self._connection.close()
        if self._service is not None:
            self._service.close()
        self._signed_out(TransportError("signed out"))
        self._processor.history.clear()
        archive, self._processor.archive = self._processor.archive, None
        if archive is not None:
            await archive.__aexit__(None, None, None)
        account_compliance, self._compliance = self._compliance, None
        if account_compliance is not None:
            await account_compliance.__aexit__(None, None, None)

    @property
    def jid(self) -> str:
        """Our bare JID."""
        return self._config.jid

    @property
    def mechanism(self) -> str:
        """The SASL mechanism that signed us in, such as "SCRAM-SHA-256"; "" before the sign-in."""
        return self._stream.mechanism

    @property
    def is_up(self) -> bool:
        """Whether the server is connected now; otherwise sent messages wait."""
        return self._connection.is_up

    @property
    def error(self) -> SoftphoneError | None:
        """Why the server has signed us out for good; iteration has ended then."""
        return self._error

    @property
    def counters(self) -> Counter[str]:
        """The number of received messages that were not shown, by cause."""
        counters = Counter(self._receiver.counters)
        counters["dropped_unread"] = self._receiver.inbox.dropped
        return counters

    # Messages and files

    async def send(self, to: str, body: str, *, within: float | None = None) -> SentMessage:
        """Send a message to a user (bare JID), or to a joined room.

        Returns when the server, or client to client the other client, has acknowledged it.  Raises
        MessageRefused when policy forbids it, and then nothing was sent; MessageUndelivered,
        TransportError, CertificateError or a subclass when it was not delivered.
        """
        with self._receiver.inbox.sending():
            return await self._sender.send_message(
                to, body, within=self._config.timeout if within is None else within
            )

    async def send_file(
        self, to: str, path: str | os.PathLike[str], *, kind: ContentKind = ContentKind.FILE
    ) -> SentMessage:
        """Send a file or a screen capture: upload it, and send its link.

        The file is stored at a server, so its sign is the lock, never the key.  Raises
        ConfigurationError without an audit table, TransferRefused and MessageRefused when policy
        forbids it (then nothing of it was sent), AuditError, TransferError, and what `send` raises.
        """
        files = self._files()
        self._sender.check_file(to)
        moved = await files.upload_file(Path(path), self._upload.request_slot, to, kind)
        with self._receiver.inbox.sending():
            return await self._sender.send_message(
                to, moved.url, within=self._config.timeout, file=moved.url
            )

    async def fetch_file(self, message: Message, into: str | os.PathLike[str]) -> TransferredFile:
        """Download the file that a message links to, to the new file `into` (mode 0600).

        Raises ConfigurationError without an audit table, or for a message without a file;
        TransferRefused, AuditError, TransferError, TransportError, CertificateError.
        """
        if not message.file:
            raise ConfigurationError("the message is not about a file")
        return await self._files().download_file(message.file, Path(into), message.peer)

    def _files(self) -> FileTransfer:
        if self._compliance is None:
            raise ConfigurationError(
                "im.compliance.audit: files come and go with an audit table only: name one"
            )
        return self._compliance.files

    def __aiter__(self) -> AsyncIterator[Message]:
        return self

    async def __anext__(self) -> Message:
        message = await self._receiver.inbox.next_message()
        if message is None:
            raise StopAsyncIteration
        return message

    def history(self, peer: str) -> tuple[Message, ...]:
        """Return the messages with a peer, or in a room, since sign-in."""
        return self._processor.history.messages_with(peer)

    def close_conversation(self, peer: str) -> None:
        """Note a closed conversation: with `disable_history` its history is deleted."""
        self._processor.conversation_closed(peer)

    # Presence

    @property
    def peers(self) -> tuple[Presence, ...]:
        """The presence of every peer on the roster, and of other peers that sent one."""
        return self._peers.all_presences()

    def presence(self, peer: str) -> Presence:
        """Return a peer's presence."""
        return self._peers.presence(peer)

    async def subscribe_to(self, peer: str, *, within: float = 5.0) -> Presence:
        """Request a presence subscription, and wait up to `within` seconds for the presence."""
        return await self._peers.subscribe_to(peer, within=within)

    def set_presence(self, show: Availability, status: str = "") -> None:
        """Set our presence, and send it now or when the next session begins."""
        self._shown = Presence(self._config.jid, show, status)
        if self._connection.is_up:
            self._send_presence()

    # Rooms

    async def join_room(self, room: str, nick: str | None = None) -> None:
        """Join a group chat; `nick` is by default the local part of our JID.

        Raises MessageRefused when policy forbids group chats, MessagingError when the room refuses
        us.
        """
        await self._group_chats.join_room(room, nick or self._config.jid.partition("@")[0])

    def leave_room(self, room: str) -> None:
        """Leave a group chat."""
        self._group_chats.leave_room(room)

    # A session begins

    def _came_up(self, resumed: bool) -> None:
        self._receiver.inbox.reading_resumed()
        if resumed:
            self._sender.resend_unacknowledged(resumed=True)
            return
        self._peers.clear()
        if self._greeting is not None:
            self._greeting.cancel()
        self._greeting = asyncio.get_running_loop().create_task(self._greet())

    async def _greet(self) -> None:
        """Send our presence and capabilities, and fetch the roster."""
        stream = self._stream
        if self._sessions is not None:
            await self._sessions.close(tell=False)
            await stream.plugin_of("xep_0030").add_feature(CLIENT_TLS)
            await stream.plugin_of("xep_0115").update_caps(broadcast=False)
        await stream.get_roster(timeout=_GREET_WITHIN)
        self._send_presence()
        # The answer to this ping arrives after the presence of all peers on the same server.
        ping = stream.plugin_of("xep_0199")
        await ping.ping(stream.boundjid.domain, timeout=_GREET_WITHIN)
        await self._group_chats.rejoin_rooms()
        self._sender.resend_unacknowledged(resumed=False)
        self._greeted.set()

    def _send_presence(self) -> None:
        show = self._shown.show
        self._stream.send_presence(
            pshow=None if show is Availability.AVAILABLE else show.value,
            pstatus=self._shown.status or None,
        )

    def _lost(self, error: SoftphoneError) -> None:
        self._error = error
        self._signed_out(error)

    def _signed_out(self, error: SoftphoneError) -> None:
        self._sender.fail_unacknowledged(error)
        self._receiver.inbox.end()

    def _hold(self, held: bool) -> None:
        self._stream.set_reading_paused(held)


def _https_environment(environment: MessagingEnvironment) -> HttpsEnvironment:
    connector = environment.connector
    return HttpsEnvironment(
        connector.resolve,
        environment.wall,
        connector.fetcher,
        environment.tunnel,
        connector.admit,
    )


def _configuration_service(
    config: MessagingConfig, environment: MessagingEnvironment
) -> ClientConfigurationService | None:
    if config.im_presence is None or config.password is None:
        return None
    return ClientConfigurationService(
        config.im_presence, config.jid, config.password, _https_environment(environment)
    )


def _server_settings(config: MessagingConfig) -> TlsSettings:
    """Return the TLS settings: AES 256 only, unless `allow_aes_128`; TLS 1.2 where SCRAM is used.

    Python has the channel binding data of TLS 1.2 (tls-unique), not of TLS 1.3 (tls-exporter).  An
    edge server gets no certificate of ours, and nobody is asked about its own.
    """
    scram = config.password is not None and config.im_presence is None
    binds = scram and config.tls.minimum is TlsVersion.TLS_1_2
    tls, edge = config.tls, config.edge
    if edge is not None:
        tls = replace(tls, credential=None, unknown=None, edge_domain=edge.domain)
    return replace(
        tls,
        service=Service.XMPP,
        aes_256=not config.allow_aes_128,
        maximum=TlsVersion.TLS_1_2 if binds else None,
        protocols=("xmpp-client",),
    )


def _client_settings(config: MessagingConfig) -> TlsSettings:
    """Between clients: require both certificates, never ask the user, and ignore a server's pin."""
    return replace(
        config.tls,
        service=Service.XMPP_USER,
        aes_256=True,
        client_certificates=ClientCertificates.REQUIRED,
        pin=None,
        unknown=None,
    )
