"""What all realtime services have in common: what is said to them, and what they say, as values.

A dialect is sans-IO: methods queue messages for `transmits`, and `receive` returns what a message
of the service means.  Times are in milliseconds of sound; sound is octets in the dialect's coding.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, TypeAlias

from softphone.agents.sound_coding import SoundCoding

Message: TypeAlias = str | bytes
"""A message on the WebSocket: text, or octets of a binary one."""


class Speaker(StrEnum):
    """Who has said something."""

    CALLER = "caller"
    BOT = "bot"


@dataclass(frozen=True)
class ToolDescription:
    """A function that is offered to a model; `parameters` is a JSON schema."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class SessionSettings:
    """What a session is like: "" stands for the service's own choice."""

    model: str = ""
    voice: str = ""
    instructions: str = field(default="", repr=False)
    greeting: str = field(default="", repr=False)
    tools: Sequence[ToolDescription] = ()
    transcript: bool = False


@dataclass(frozen=True, slots=True)
class SessionReady:
    """The service has taken the settings."""


@dataclass(frozen=True, slots=True)
class ReplySound:
    """Sound to be played after what came before; `item` names what it belongs to."""

    item: str
    octets: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class CallerSpeaks:
    """The caller has begun to speak: what was not played yet is to be dropped."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said, as the service has understood or made it."""

    speaker: Speaker
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """The model calls a function; `arguments` are as it wrote them, in JSON."""

    id: str
    name: str
    arguments: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ToolWithdrawn:
    """The function call `id` is not wanted any more."""

    id: str


@dataclass(frozen=True, slots=True)
class ServiceError:
    """The service has refused something; `text` is its own, and `fatal` that the session is off."""

    text: str
    fatal: bool


ServiceEvent: TypeAlias = (
    SessionReady
    | ReplySound
    | CallerSpeaks
    | Transcript
    | ToolRequest
    | ToolWithdrawn
    | ServiceError
)


class Dialect(ABC):
    """One session with one service, without I/O."""

    PCM_HEARD_HZ: ClassVar[int]
    """The sample rate of what the service hears, with `SoundCoding.PCM`."""
    PCM_SPOKEN_HZ: ClassVar[int] = 24000
    """The sample rate of what it says, with `SoundCoding.PCM`."""
    CODINGS: ClassVar[tuple[SoundCoding, ...]]
    """The codings that it takes, the one for any codec last."""

    def __init__(self, settings: SessionSettings, coding: SoundCoding) -> None:
        self.settings = settings
        self.coding = coding
        self.ready = False
        self._out: list[Message] = []

    @property
    def heard_hz(self) -> int:
        """The sample rate of what the service hears."""
        return self.PCM_HEARD_HZ if self.coding is SoundCoding.PCM else 8000

    @property
    def spoken_hz(self) -> int:
        """The sample rate of what it says."""
        return self.PCM_SPOKEN_HZ if self.coding is SoundCoding.PCM else 8000

    def transmits(self) -> list[Message]:
        """Return the messages that are to be sent, in order, and forget them."""
        out, self._out = self._out, []
        return out

    @abstractmethod
    def open_session(self) -> None:
        """Queue what a new connection begins with."""

    def keep_alive(self) -> None:  # noqa: B027 - most services need nothing
        """Queue what keeps a session open in which no sound is sent yet."""

    @abstractmethod
    def begin(self) -> None:
        """Queue what the answer of the call begins with: the greeting."""

    @abstractmethod
    def send_sound(self, octets: bytes) -> None:
        """Queue sound of the caller."""

    @abstractmethod
    def send_text(self, text: str) -> None:
        """Queue words that stand for what the caller has done; the model answers them."""

    @abstractmethod
    def report_heard(self, item: str, heard_ms: int) -> None:
        """Queue that of an item no more was heard than so many milliseconds."""

    @abstractmethod
    def answer_tool(self, request: ToolRequest, result: str) -> None:
        """Queue the result of a function."""

    @abstractmethod
    def receive(self, message: Message) -> Iterable[ServiceEvent]:
        """Return what a message means.

        Raises ValueError, in words that hold nothing of the message, for one that is broken; what
        is only unknown means nothing.
        """

    def _say(self, message: Mapping[str, Any]) -> None:
        self._out.append(json.dumps(message))
