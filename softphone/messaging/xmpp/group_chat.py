"""Group chats: joined, left, joined again after a new session.  Never encrypted client to client.

XEP-0045.  It knows which rooms we are in and by which names; messages are others' affair.
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
    """The rooms of one stream."""

    def __init__(self, policy: EncryptionPolicy) -> None:
        self._policy = policy
        self._stream: XmppStream | None = None
        self._nicks: dict[str, str] = {}

    def __contains__(self, room: str) -> bool:
        return room in self._nicks

    def attach(self, stream: XmppStream) -> None:
        """Join over this stream."""
        self._stream = stream

    def is_ours(self, room: str, nick: str) -> bool:
        """Whether a room's nickname is our own."""
        return self._nicks.get(room) == nick

    def nick(self, room: str) -> str:
        """Our nickname in a room that was joined."""
        return self._nicks[room]

    async def join_room(self, room: str, nick: str) -> None:
        """Enter a room.

        Raises MessageRefused when policy forbids what is not encrypted client to client,
        MessagingError when the room does not let us in.
        """
        if self._policy.to_group() is SendMode.REFUSED:
            raise MessageRefused(
                f"{room} was not joined: a group chat is never encrypted client to client, and"
                " im.support_no_encoding is false"
            )
        await self._enter(room, nick)
        self._nicks[room] = nick

    def leave_room(self, room: str) -> None:
        """Leave it."""
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
                # A new room is locked until its owner has agreed to its settings.
                form = self._stream.plugin_of("xep_0004").make_form(ftype="submit")
                await plugin.set_room_config(JID(room), form, timeout=_JOIN_WITHIN)
        except (PresenceError, XMPPError) as exc:
            raise MessagingError(f"{room} does not let us in: {exc.condition}") from exc
        except TimeoutError as exc:
            raise MessagingError(f"{room} did not answer within {_JOIN_WITHIN:g} s") from exc
