"""Turns stanzas, and frames from TLS sessions with other clients, into checked, unique messages.

RFC 6121 section 5, XEP-0045, XEP-0184, XEP-0203.  A message that the encryption policy refuses is
not shown; a chat message is also answered with the error not-acceptable.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from softphone.errors import MessageRefused
from softphone.messaging.delivery.duplicate_filter import DuplicateFilter
from softphone.messaging.delivery.inbox import Inbox
from softphone.messaging.delivery.message_processor import MessageProcessor
from softphone.messaging.e2e import MOST_BODY, MOST_ID, Frame
from softphone.messaging.e2e.session import ClientSession
from softphone.messaging.encryption_policy import EncryptionPolicy
from softphone.messaging.files.upload import file_link_of
from softphone.messaging.message import EncryptionScope, Message, MessageDirection, MessageSecurity
from softphone.messaging.xmpp.group_chat import GroupChats
from softphone.messaging.xmpp.stream import XmppStream

logger = logging.getLogger("softphone.messaging")

_FIRST_MESSAGE = datetime(1999, 1, 1, tzinfo=UTC)
"""XMPP is not older."""


@dataclass(frozen=True, slots=True)
class IncomingMessage:
    """A received message; `send_receipt` sends its receipt, if the sender requested one."""

    message: Message
    send_receipt: Callable[[], None]


class Receiver:
    """Receives the messages of one stream; `counters` count those that were not shown, by cause.

    `server_scope` is how far the encryption of what the server delivers reaches.
    """

    def __init__(
        self,
        policy: EncryptionPolicy,
        group_chats: GroupChats,
        processor: MessageProcessor,
        hold: Callable[[bool], None],
        wall: Callable[[], datetime],
        server_scope: EncryptionScope = EncryptionScope.CLIENT_TO_SERVER,
    ) -> None:
        self._policy = policy
        self._server_scope = server_scope
        self._group_chats = group_chats
        self._processor = processor
        self._wall = wall
        self._duplicates = DuplicateFilter()
        self._stream: XmppStream | None = None
        self.inbox: Inbox[IncomingMessage] = Inbox(hold)
        self.counters: Counter[str] = Counter()

    def attach(self, stream: XmppStream) -> None:
        """Handle the message stanzas of this stream."""
        self._stream = stream
        stream.add_event_handler("message", self._message)
        stream.add_event_handler("groupchat_message", self._group_message)

    async def run(self) -> None:
        """Ask the hook about each arrival in order; record and show what it allows."""
        while True:
            arrival = await self.inbox.next_arrival()
            try:
                message = await self._processor.apply_hook(arrival.message)
            except MessageRefused as exc:
                self.counters["refused_by_hook"] += 1
                logger.info("a message of %s is not shown: %s", arrival.message.peer, exc)
                continue
            await self._processor.record_message(message)
            arrival.send_receipt()
            self.inbox.add_message(message)

    def handle_encrypted(self, session: ClientSession, frame: Frame) -> None:
        """Handle a message from a TLS session with another, verified client."""
        peer, _, resource = session.peer.partition("/")
        if not self._policy.accepts(encrypted=True):
            self.counters["encrypted_refused"] += 1
            return
        if not self._duplicates.is_first(peer, frame.id):
            self.counters["repeated"] += 1
            session.acknowledge(frame.id)
            return
        message = Message(
            id=frame.id,
            peer=peer,
            sender=peer,
            body=frame.body,
            at=self._wall(),
            direction=MessageDirection.RECEIVED,
            security=MessageSecurity(EncryptionScope.CLIENT_TO_CLIENT, session.identity),
            resource=resource,
        )
        # This acknowledges the arrival only: the hook's decision is not revealed to the peer.
        session.acknowledge(frame.id)
        self.inbox.add_arrival(IncomingMessage(message, lambda: None))

    def _message(self, stanza: Any) -> None:
        if stanza["type"] not in ("chat", "normal") or not stanza["body"]:
            return
        sender = stanza["from"]
        if not self._policy.accepts(encrypted=False):
            self.counters["clear_refused"] += 1
            self._return(stanza, "this client takes messages encrypted client to client only")
            return
        if _too_large(stanza):
            self.counters["too_large"] += 1
            self._return(stanza, f"this client takes {MOST_BODY} octets at most")
            return
        peer = sender.full if sender.bare in self._group_chats else sender.bare
        if not self._duplicates.is_first(peer, stanza["id"]):
            self.counters["repeated"] += 1
            return
        self.inbox.add_arrival(
            IncomingMessage(
                self._clear(stanza, peer, peer), lambda: self._receipt(stanza, sender.bare)
            )
        )

    def _group_message(self, stanza: Any) -> None:
        room, nick = stanza["from"].bare, stanza["from"].resource
        if room not in self._group_chats or not nick or not stanza["body"]:
            return
        if not self._policy.accepts(encrypted=False) or _too_large(stanza):
            self.counters["clear_refused"] += 1
            return
        if not self._duplicates.is_first(stanza["from"].full, stanza["id"]):
            self.counters["repeated"] += 1
            return
        if self._group_chats.is_ours(room, nick):
            return
        self.inbox.add_arrival(
            IncomingMessage(self._clear(stanza, room, nick, room=True), lambda: None)
        )

    def _clear(self, stanza: Any, peer: str, sender: str, *, room: bool = False) -> Message:
        stream = self._stream
        identity = None
        if stream is not None and stream.connection is not None and stream.connection.flow:
            identity = stream.connection.flow.identity
        return Message(
            id=stanza["id"],
            peer=peer,
            sender=sender,
            body=stanza["body"],
            at=self._sent_at(stanza),
            direction=MessageDirection.RECEIVED,
            security=MessageSecurity(self._server_scope, identity),
            room=room,
            resource=stanza["from"].resource,
            file=file_link_of(stanza),
        )

    def _sent_at(self, stanza: Any) -> datetime:
        """Return when a delayed message (XEP-0203) was sent, else the time now.

        A sender may write any time.  One to come would hide later messages in the archive, and
        those at the ends of the calendar have no local time.
        """
        now = self._wall()
        try:
            stamp = stanza["delay"]["stamp"] if stanza.get_plugin("delay", check=True) else None
            if not isinstance(stamp, datetime):
                return now
            sent = stamp.astimezone(UTC) if stamp.tzinfo else stamp.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            return now
        return sent if _FIRST_MESSAGE <= sent <= now else now

    def _receipt(self, stanza: Any, peer: str) -> None:
        """Send a receipt (XEP-0184), only to a peer that may see our presence."""
        stream = self._stream
        if stream is None or not stanza["request_receipt"]:
            return
        if peer in stream.client_roster and stream.client_roster[peer]["from"]:
            stream.plugin_of("xep_0184").ack(stanza)

    def _return(self, stanza: Any, text: str) -> None:
        reply = stanza.reply(clear=True)
        reply["type"] = "error"
        reply["id"] = stanza["id"]
        reply["error"]["type"] = "cancel"
        reply["error"]["condition"] = "not-acceptable"
        reply["error"]["text"] = text
        reply.send()


def _too_large(stanza: Any) -> bool:
    # The archive cannot store a longer id, so its message would not be archived.
    return len(stanza["body"].encode("utf-8", "replace")) > MOST_BODY or len(stanza["id"]) > MOST_ID
