"""Joins and leaves group chats, and joins them again in a new session.

XEP-0045.  Group chats are never encrypted client to client.  The module tracks the rooms we are in
and our nicknames there; `delivery` sends and receives the messages.
"""

from __future__ import annotations

import logging

from slixmpp import JID
from slixmpp.exceptions import PresenceError, XMPPError

from softphone.errors import MessageRefused, MessagingError
from softphone.messaging.encryption_policy import EncryptionPolicy, SendMode
from softphone.messaging.xmpp.stream import XmppStream

logger = logging.getLogger("softphone.messaging")

_JOIN_WITHIN = 15.0
_CREATED = 201


class GroupChats:
    """The rooms that we have joined over one stream, with our nickname in each."""

    def __init__(self, policy: EncryptionPolicy) -> None:
        self._policy = policy
        self._stream: XmppStream | None = None
        self._nicks: dict[str, str] = {}

    def __contains__(self, room: str) -> bool:
        return room in self._nicks

    def attach(self, stream: XmppStream) -> None:
        """Join rooms over this stream."""
        self._stream = stream

    def is_ours(self, room: str, nick: str) -> bool:
        """Whether `nick` is our own nickname in a room."""
        return self._nicks.get(room) == nick

    def nick(self, room: str) -> str:
        """Return our nickname in a joined room.  Raises KeyError for another room."""
        return self._nicks[room]

    async def join_room(self, room: str, nick: str) -> None:
        """Join a room; a new one gets its default configuration.

        Raises MessageRefused when policy requires encryption client to client, MessagingError when
        the room refuses us or does not answer within 15 s.
        """
        if self._policy.to_group() is SendMode.REFUSED:
            raise MessageRefused(
                f"{room} was not joined: a group chat is never encrypted client to client, and"
                " im.support_no_encoding is false"
            )
        await self._enter(room, nick)
        self._nicks[room] = nick

    def leave_room(self, room: str) -> None:
        """Leave a room; does nothing if it was not joined."""
        nick = self._nicks.pop(room, None)
        if nick is not None and self._stream is not None:
            self._stream.plugin_of("xep_0045").leave_muc(JID(room), nick)

    async def rejoin_rooms(self) -> None:
        """Join the rooms again in a new session; a room that refuses us is logged."""
        for room, nick in tuple(self._nicks.items()):
            try:
                await self._enter(room, nick)
            except MessagingError as exc:
                logger.warning("%s", exc)
                self._nicks.pop(room, None)

    async def _enter(self, room: str, nick: str) -> None:
        if self._stream is None:
            raise MessagingError(f"{room} was not joined: nobody is signed in")
        plugin = self._stream.plugin_of("xep_0045")
        try:
            joined = await plugin.join_muc_wait(JID(room), nick, maxstanzas=0, timeout=_JOIN_WITHIN)
            if _CREATED in joined[0]["muc"]["status_codes"]:
                # A new room is locked until its owner has accepted a configuration.
                form = self._stream.plugin_of("xep_0004").make_form(ftype="submit")
                await plugin.set_room_config(JID(room), form, timeout=_JOIN_WITHIN)
        except (PresenceError, XMPPError) as exc:
            raise MessagingError(f"{room} does not let us in: {exc.condition}") from exc
        except TimeoutError as exc:
            raise MessagingError(f"{room} did not answer within {_JOIN_WITHIN:g} s") from exc
