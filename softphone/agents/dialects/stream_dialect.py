"""What all dialects of media streams have in common: who is in the call, and what a bot may say.

A dialect is sans-IO: it makes the messages of one stream in order, and parses those of the bot.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, TypeAlias

from softphone.agents.sound_coding import SoundCoding

Message: TypeAlias = str | bytes
"""A message on the WebSocket: text, or octets of a binary one."""

LONGEST_MARK_NAME = 1024
"""The most characters of a mark's name: bounds memory, as at most 1,000 marks wait."""
MOST_PARTS = 2048
"""The most opening brackets (`[`, `{`) and commas of a bot's message.

A mark's name of any characters has fewer.
"""


class StreamDialect(StrEnum):
    """Whose media streams are spoken with a bot."""

    TWILIO = "twilio"
    TELNYX = "telnyx"
    VONAGE = "vonage"
    JAMBONZ = "jambonz"
    ASTERISK = "asterisk"
    """chan_websocket with control messages in JSON."""
    ASTERISK_TEXT = "asterisk-text"
    """chan_websocket with control messages in plain text."""


@dataclass(frozen=True, slots=True)
class StreamSound:
    """How sound is coded on a stream, both ways: one channel at `rate_hz`."""

    coding: SoundCoding
    rate_hz: int

    @property
    def octets_a_second(self) -> int:
        """How many octets a second has."""
        return self.rate_hz * (2 if self.coding is SoundCoding.PCM else 1)


@dataclass(frozen=True, slots=True)
class StreamIds:
    """Stream, call and account ids: each two letters and 32 hex digits."""

    stream: str
    call: str
    account: str


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """The facts about a call that its first message to the bot has.

    `caller` and `called` are numbers or SIP URIs, as received (incoming) or as dialed by us
    (outgoing).  `incoming` is whether the far end called us.  `sip_call_id` is the SIP Call-ID of
    the call; `parameters` are the names and values that the bot is told with the stream's start.
    """

    ids: StreamIds
    sip_call_id: str = ""
    caller: str = ""
    called: str = ""
    incoming: bool = True
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class MediaMessage:
    """Sound to be played after what was sent before, in the stream's coding."""

    octets: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class MarkMessage:
    """A name to be returned when all sound before it was played, or cleared.

    With `when_idle` it waits for sound that comes behind it, too.
    """

    name: str
    when_idle: bool = False


@dataclass(frozen=True, slots=True)
class ClearMessage:
    """The order to drop the sound that was not played yet."""


@dataclass(frozen=True, slots=True)
class ForgetMarksMessage:
    """The marks that wait are not wanted any more."""


@dataclass(frozen=True, slots=True)
class PauseMessage:
    """The order to hold what was not played yet, or, with `paused` False, to go on with it."""

    paused: bool


@dataclass(frozen=True, slots=True)
class StatusRequest:
    """The bot asks how much of its sound waits."""


@dataclass(frozen=True, slots=True)
class EndMessage:
    """The bot has finished: nothing more is played."""


@dataclass(frozen=True, slots=True)
class NoMessage:
    """A message that asks for nothing."""


BotMessage: TypeAlias = (
    MediaMessage
    | MarkMessage
    | ClearMessage
    | ForgetMarksMessage
    | PauseMessage
    | StatusRequest
    | EndMessage
    | NoMessage
)


class StreamMessages(ABC):
    """Makes the messages of one stream, in order, and parses those of the bot.

    A method returns None where nothing is to be sent.
    """

    SOUNDS: ClassVar[Mapping[SoundCoding, tuple[int, ...]]]
    """The sample rates of each coding; what comes first is used unless something else is wanted."""
    SUBPROTOCOL: ClassVar[str] = ""
    """The WebSocket's subprotocol (RFC 6455 section 1.9); "" for none."""
    HELLO: ClassVar[Message | None] = None
    """The first message on every connection; None for none."""

    def __init__(self, facts: StreamFacts, sound: StreamSound) -> None:
        self.facts = facts
        self.sound = sound

    @property
    def ids(self) -> StreamIds:
        """The names of the stream."""
        return self.facts.ids

    @abstractmethod
    def start(self) -> Message:
        """Return the message that describes the stream, once the call is up."""

    def media(self, octets: bytes, timestamp_ms: int) -> Message:
        """Return the message with 20 ms of caller sound.

        `timestamp_ms` counts from the stream's start.
        """
        return octets

    @abstractmethod
    def dtmf(self, digit: str, now: datetime) -> Message:
        """Return the message with a digit that the caller pressed at `now`."""

    @abstractmethod
    def mark(self, name: str, cleared: bool) -> Message | None:
        """Return the message for a mark: the sound before it was played, or `cleared`."""

    def cleared(self) -> Message | None:
        """Return the answer to a ClearMessage that was carried out."""
        return None

    def pace(self, waiting_seconds: float) -> Message | None:
        """Return the message that tells the bot to stop or resume sending; None if nothing changes.

        `waiting_seconds` is how much of its sound is queued.
        """
        return None

    def status(self, waiting_seconds: float) -> Message | None:
        """Return the answer to a StatusRequest."""
        return None

    def stop(self) -> Message | None:
        """Return the last message: the call is over, or goes on without the bot."""
        return None

    @abstractmethod
    def parse(self, message: Message) -> BotMessage:
        """Parse a message of the bot.

        Raises ValueError, in words that hold nothing of the message, for one that the dialect does
        not have.
        """


def checked_mark(name: str) -> MarkMessage:
    """Return a mark.  Raises ValueError for a name of more than 1,024 characters."""
    if len(name) > LONGEST_MARK_NAME:
        raise ValueError(f"its mark has a name of more than {LONGEST_MARK_NAME} characters")
    return MarkMessage(name)


def text_only(message: Message) -> str:
    """Return a message that is text.  Raises ValueError for a binary one."""
    if isinstance(message, bytes):
        raise ValueError("it is a binary message")
    return message
