"""Messages as the user sees them, with their protection and its sign; presence of peers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from softphone.sans_io import PeerIdentity


class EncryptionScope(StrEnum):
    """How far the encryption of a message reaches.

    To the edge: it decrypts, and what is beyond it is not known.
    """

    CLIENT_TO_EDGE = "client-to-edge"
    CLIENT_TO_SERVER = "client-to-server"
    CLIENT_TO_CLIENT = "client-to-client"


_SIGNS = {EncryptionScope.CLIENT_TO_SERVER: "lock", EncryptionScope.CLIENT_TO_CLIENT: "key"}
_BEYOND_EDGE = ", which decrypts: beyond it, nothing is known to be encrypted"


@dataclass(frozen=True, slots=True)
class MessageSecurity:
    """How a message was protected; immutable, and set by the code that protects the message.

    `identity` is the verified peer of the TLS session that carried it: the server or the edge
    server, or, client to client, the other client.
    """

    scope: EncryptionScope
    identity: PeerIdentity | None = None

    @property
    def sign(self) -> str:
        """The icon's name: "lock" for client to server, "key" for client to client.

        To an edge server, which decrypts, it is "lock-open".
        """
        return _SIGNS.get(self.scope, "lock-open")

    def __str__(self) -> str:
        suite = (
            "" if self.identity is None else f" ({self.identity.protocol}, {self.identity.cipher})"
        )
        beyond = _BEYOND_EDGE if self.scope is EncryptionScope.CLIENT_TO_EDGE else ""
        return f"encrypted {self.scope.value.replace('-', ' ')}{suite}{beyond}"


class MessageDirection(StrEnum):
    """Which way a message went."""

    SENT = "sent"
    RECEIVED = "received"


@dataclass(frozen=True, slots=True)
class Message:
    """One message.  `peer` is the bare JID of the other side, or the room of a group chat.

    `sender` is a bare JID; in a room it is the nickname there.  `at` is the time it was sent, or
    received if no delay is stamped (XEP-0203).  `resource` names the peer's client.  `file` is the
    address of the file that the message links to.  The text is left out of `repr`.
    """

    id: str
    peer: str
    sender: str
    body: str = field(repr=False)
    at: datetime
    direction: MessageDirection
    security: MessageSecurity
    room: bool = False
    resource: str = ""
    file: str = ""


class Availability(StrEnum):
    """How available a user is (RFC 6121 section 4.7.2.1)."""

    AVAILABLE = "available"
    CHAT = "chat"
    AWAY = "away"
    XA = "xa"
    DND = "dnd"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class Presence:
    """How available a peer is, by its most available client, with that client's status text."""

    peer: str
    show: Availability
    status: str = ""
