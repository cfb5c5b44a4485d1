"""Messages and mailboxes as applications see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Folder(StrEnum):
    """A folder of a mailbox; the list is fixed."""

    INBOX = "inbox"
    SENT = "sent"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """Which messages of a folder are listed; a field that is None admits all.

    `urgent` admits urgent ones only; a `kind` is "voice", "fax", "email" or "receipt".
    """

    read: bool | None = None
    urgent: bool = False
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class MessagePart:
    """One attachment of a message: its number, from 0, and its media type, "" if not given."""

    number: int
    media_type: str = ""


@dataclass(frozen=True, slots=True)
class VoiceMessage:
    """One message, as its server describes it.

    `id` names it to its server.  `secure` messages are played from memory and never stored;
    `private` ones are not passed on.  A `dispatch` message asks to be accepted or declined.
    `arrived` is in UTC, `duration` in seconds and `size` in octets; each is 0 or None if not given.

    `sender`, `address` and `extension` are of another subscriber only where `authenticated`;
    else the message was left by telephone, and `caller_number` and `caller_name` are what the
    caller sent, which anybody can choose.  `parts` are known for a single message, not in a list.
    """

    id: str
    subject: str = ""
    read: bool = False
    secure: bool = True
    private: bool = False
    urgent: bool = False
    dispatch: bool = False
    kind: str = ""
    authenticated: bool = False
    sender: str = ""
    address: str = ""
    extension: str = ""
    caller_number: str = ""
    caller_name: str = ""
    arrived: datetime | None = None
    duration: float = 0.0
    size: int = 0
    parts: tuple[MessagePart, ...] = ()

    @property
    def peer(self) -> str:
        """The sender as text: a subscriber, or what the caller claims to be."""
        if self.authenticated:
            return self.sender or self.extension or self.address
        number = f" ({self.caller_number})" if self.caller_number and self.caller_name else ""
        return f"{self.caller_name or self.caller_number}{number}"


@dataclass(frozen=True, slots=True)
class MessagePage:
    """The messages of one answer.

    `given` counts those in the answer, also what could not be read; `total` is the number that the
    server says match, 0 if it does not say.
    """

    messages: tuple[VoiceMessage, ...]
    given: int
    total: int


@dataclass(frozen=True, slots=True)
class MailboxState:
    """A mailbox: whether it can be used, and what deleting in it means.

    `mounted` is False while the message store is not available: it then looks empty.
    `keeps_deleted` is False where a deleted message cannot be found again.  `size` is in octets;
    `receive_quota_exceeded` mailboxes take no message any more.
    """

    name: str = ""
    mounted: bool = True
    keeps_deleted: bool = True
    size: int = 0
    receive_quota_exceeded: bool = False


@dataclass(frozen=True, slots=True)
class MailboxCounts:
    """The numbers of new and old voice messages of the inbox; `urgent` are among the new ones."""

    new: int
    old: int
    urgent: int = 0
