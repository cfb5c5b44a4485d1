"""Sends messages by the route that policy demands; each arrives once, even across reconnects.

XEP-0198 (acknowledgments by the server), XEP-0184 (receipts by the other client).  Client to
client, the other client acknowledges inside the TLS session.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from softphone.errors import (
    LocalProtocolError,
    MessageRefused,
    MessageUndelivered,
    SoftphoneError,
    TransportError,
)
from softphone.messaging.delivery.message_processor import MessageProcessor
from softphone.messaging.delivery.outbox import Outbox
from softphone.messaging.e2e import FORBIDDEN, MOST_BODY
from softphone.messaging.e2e.peers import Peers
from softphone.messaging.e2e.sessions import ClientSessions
from softphone.messaging.encryption_policy import EncryptionPolicy, SendMode
from softphone.messaging.files.upload import add_file_link
from softphone.messaging.message import EncryptionScope, Message, MessageDirection, MessageSecurity
from softphone.messaging.xmpp.connection import XmppConnection
from softphone.messaging.xmpp.group_chat import GroupChats
from softphone.messaging.xmpp.stream import XmppStream
from softphone.sans_io import Entropy

MOST_RECEIPTS = 1000


@dataclass(frozen=True, slots=True)
class SentMessage:
    """A message that the server has acknowledged, or, client to client, the other client."""

    message: Message
    _receipt: asyncio.Future[None]

    async def delivered(self, *, within: float = 30.0) -> bool:
        """Wait up to `within` seconds for the other client's receipt; return whether it arrived.

        Raises MessageUndelivered when the message was returned with an error.
        """
        done, _ = await asyncio.wait({self._receipt}, timeout=within)
        if done:
            self._receipt.result()
        return bool(done)


@dataclass(frozen=True, slots=True)
class SenderDependencies:
    """The objects that a sender uses; without `sessions` nothing is sent client to client.

    `server_scope` is how far the encryption of what goes to the server reaches.
    """

    policy: EncryptionPolicy
    connection: XmppConnection
    peers: Peers
    group_chats: GroupChats
    processor: MessageProcessor
    sessions: ClientSessions | None
    server_scope: EncryptionScope = EncryptionScope.CLIENT_TO_SERVER


_MEANT = {
    # The server gives no details, so as not to reveal which users exist (RFC 6121 section 8.5).
    "service-unavailable": "most often: nobody of that name is signed in, and the server keeps"
    " nothing for later",
}
"""Explanations of error conditions, for errors that the server sends without a text."""


class Sender:
    """Sends over one stream, as the user `own`."""

    def __init__(
        self, own: str, parts: SenderDependencies, *, entropy: Entropy, wall: Callable[[], datetime]
    ) -> None:
        self._own = own
        self._parts = parts
        self._entropy = entropy
        self._wall = wall
        self._stream: XmppStream | None = None
        self._outbox: Outbox[Any] = Outbox()
        self._receipts: OrderedDict[str, asyncio.Future[None]] = OrderedDict()

    def attach(self, stream: XmppStream) -> None:
        """Send over this stream."""
        self._stream = stream
        stream.add_event_handler("stanza_acked", self._acknowledged)
        stream.add_event_handler("receipt_received", self._received)
        for name in ("message_error", "groupchat_message_error"):
            stream.add_event_handler(name, self._returned)

    async def send_message(
        self, to: str, body: str, *, within: float, file: str = ""
    ) -> SentMessage:
        """Send one message to a bare JID, or to a joined room, within `within` seconds.

        `file` is the address of a file that the message links to; since a server stores the file,
        such a message is sent client to server.

        Raises LocalProtocolError for a text that `check_text` refuses, MessageRefused when policy
        forbids the message (nothing was sent), MessageUndelivered, TransportError, CertificateError
        or a subclass when it was not delivered.
        """
        check_text(body)
        try:
            async with asyncio.timeout(within):
                return await self._send_one(to, body, file)
        except TimeoutError as exc:
            raise MessageUndelivered(
                f"the message to {to} was not acknowledged within {within:g} s"
            ) from exc

    async def _send_one(self, to: str, body: str, file: str) -> SentMessage:
        way, client = await self._choose_route(to, file)
        scope = self._parts.server_scope if client is None else EncryptionScope(way.value)
        message = Message(
            id=self._entropy(12).hex(),
            peer=to,
            sender=self._parts.group_chats.nick(to) if to in self._parts.group_chats else self._own,
            body=body,
            at=self._wall(),
            direction=MessageDirection.SENT,
            security=MessageSecurity(scope),
            room=to in self._parts.group_chats,
            resource=(client or "").partition("/")[2],
            file=file,
        )
        message = await self._parts.processor.apply_hook(message)
        check_text(message.body)  # the hook may have redacted it; invalid XML ends the stream
        receipt: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        receipt.add_done_callback(lambda done: done.cancelled() or done.exception())
        if client is None:
            message = await self._to_server(message, receipt)
        else:
            message = await self._to_client(message, client)
            receipt.set_result(None)
        await self._parts.processor.record_message(message)
        return SentMessage(message, receipt)

    async def _choose_route(self, to: str, file: str) -> tuple[SendMode, str | None]:
        """Return the mode, and the full JID of the other client if it is client to client."""
        policy = self._parts.policy
        if file:
            self.check_file(to)
            return SendMode.CLIENT_TO_SERVER, None
        if to in self._parts.group_chats:
            if policy.to_group() is SendMode.REFUSED:
                raise MessageRefused(f"{to} is a group chat, which is never encrypted end to end")
            return SendMode.CLIENT_TO_SERVER, None
        client = None
        if self._parts.sessions is not None:
            client = await self._parts.peers.encrypting_client(to)
        row = policy.row(remote_aes=client is not None)
        if row.sends is SendMode.REFUSED:
            raise MessageRefused(
                f"nothing was sent to {to}: no client of theirs that encrypts is signed in, and"
                " im.support_no_encoding is false"
            )
        return row.sends, client if row.sends is SendMode.CLIENT_TO_CLIENT else None

    def check_file(self, to: str) -> None:
        """Raise MessageRefused if policy forbids what a server can read, and so any file."""
        if self._parts.policy.to_group() is SendMode.REFUSED:
            raise MessageRefused(
                f"no file was sent to {to}: it would lie at a server, and im.support_no_encoding"
                " is false"
            )

    # Client to client

    async def _to_client(self, message: Message, client: str) -> Message:
        """Send inside TLS; if the session is lost, send again with the same id over another."""
        sessions = self._parts.sessions
        if sessions is None:
            raise LocalProtocolError("there are no sessions with other clients")
        while True:
            await self._parts.connection.until_up()
            try:
                session = await sessions.send_message(client, message.id, message.body)
            except TransportError:
                again = await self._again(message.peer, client)
                if again is None:
                    raise
                client = again
                continue
            security = MessageSecurity(EncryptionScope.CLIENT_TO_CLIENT, session.identity)
            resource = session.peer.partition("/")[2]
            return replace(message, security=security, resource=resource)

    async def _again(self, peer: str, client: str) -> str | None:
        """Return the client to try again: after our own reconnect, or when the first has gone.

        None if the connection is up and the client is still there.
        """
        if not self._parts.connection.is_up:
            await self._parts.connection.until_up()
            return await self._parts.peers.encrypting_client(peer)
        if self._parts.peers.is_there(client):
            return None
        return await self._parts.peers.encrypting_client(peer)

    # Client to server

    async def _to_server(self, message: Message, receipt: asyncio.Future[None]) -> Message:
        stream = self._stream
        if stream is None:
            raise LocalProtocolError("nobody is signed in")
        stanza = stream.make_message(
            mto=message.peer, mbody=message.body, mtype="groupchat" if message.room else "chat"
        )
        stanza["id"] = message.id
        if message.file:
            add_file_link(stanza, message.file)
        if not message.room:
            stanza["request_receipt"] = True
        done = self._outbox.add_stanza(message.id, stanza)
        self._expect(message.id, receipt)
        try:
            if self._parts.connection.is_up:
                self._send_stanza(stanza)
            await done
        finally:
            self._outbox.forget_stanza(message.id)
        connection = stream.connection
        flow = None if connection is None else connection.flow
        identity = None if flow is None else flow.identity
        return replace(message, security=MessageSecurity(self._parts.server_scope, identity))

    def resend_unacknowledged(self, *, resumed: bool) -> None:
        """Send again what the server has not acknowledged, each message with its old id.

        A `resumed` session sends what is in its own queue again itself (XEP-0198).
        """
        known: set[str] = set()
        stream = self._stream
        if resumed and stream is not None:
            queue = stream.plugin_of("xep_0198").unacked_queue
            known = {stanza["id"] for _, stanza in queue}
        for stanza in self._outbox.unacknowledged_stanzas(known):
            self._send_stanza(stanza)

    def fail_unacknowledged(self, error: SoftphoneError) -> None:
        """Fail all unacknowledged messages with `error`; they are not sent again."""
        self._outbox.fail_all(error)

    def _send_stanza(self, stanza: Any) -> None:
        stream = self._stream
        if stream is None:
            return
        stream.send(stanza)
        if "stream_management" not in stream.features:
            # A server without XEP-0198 never acknowledges, so a written stanza counts as sent.
            self._outbox.acknowledged(stanza["id"])
            return
        # The plugin's own request precedes the stanza that it should cover, so request again.
        stream.send(stream.plugin_of("xep_0198").stanza.RequestAck(stream))

    def _acknowledged(self, stanza: Any) -> None:
        if stanza.name == "message":
            self._outbox.acknowledged(stanza["id"])

    def _returned(self, stanza: Any) -> None:
        condition = stanza["error"]["condition"]
        text = stanza["error"]["text"] or _MEANT.get(condition, "")
        error = MessageUndelivered(
            f"{stanza['from'].bare} did not get the message: {condition}"
            + (f" ({' '.join(text.split())[:200]})" if text else "")
        )
        self._outbox.failed(stanza["id"], error)
        receipt = self._receipts.pop(stanza["id"], None)
        if receipt is not None and not receipt.done():
            receipt.set_exception(error)

    def _expect(self, key: str, receipt: asyncio.Future[None]) -> None:
        self._receipts[key] = receipt
        if len(self._receipts) > MOST_RECEIPTS:
            self._receipts.popitem(last=False)

    def _received(self, stanza: Any) -> None:
        receipt = self._receipts.pop(stanza["receipt"], None)
        if receipt is not None and not receipt.done():
            receipt.set_result(None)


def check_text(body: str) -> None:
    """Raise LocalProtocolError for a text that is empty, too long, or not valid in XML."""
    if not body:
        raise LocalProtocolError("there is nothing to send")
    if len(body.encode("utf-8", "replace")) > MOST_BODY:
        raise LocalProtocolError(f"the text has more than {MOST_BODY} bytes")
    found = FORBIDDEN.search(body)
    if found is not None:
        raise LocalProtocolError(
            f"the text has a character that cannot be sent: U+{ord(found[0]):04X}"
        )
