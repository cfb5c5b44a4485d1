"""The messages of Asterisk's chan_websocket: sound as binary messages, control messages as text.

Sound is raw: ulaw, alaw, or signed linear of 16 bits (slin, slin16, slin24, slin48), little-endian.
Control messages are JSON objects, or lines of plain text for bots that were made for older
versions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from softphone.agents.dialects.stream_dialect import (
    MOST_PARTS,
    BotMessage,
    ClearMessage,
    EndMessage,
    MarkMessage,
    MediaMessage,
    Message,
    NoMessage,
    PauseMessage,
    StatusRequest,
    StreamFacts,
    StreamMessages,
    StreamSound,
    checked_mark,
)
from softphone.agents.json_messages import parse_object
from softphone.agents.sound_coding import SoundCoding

FRAMES_A_SECOND = 50
XOFF_FRAMES, XON_FRAMES = 900, 800
"""Queued frames of 20 ms: MEDIA_XOFF is sent from 900 on, MEDIA_XON below 800."""

_MARK, _BUFFERED, _DRAINED = "M", "B", "D"
"""The first letter of a mark's name: the event that answers it."""


class AsteriskMessages(StreamMessages):
    """chan_websocket's messages of one stream, which ends with its connection.

    Marks whose sound was flushed do not come back, except REPORT_QUEUE_DRAINED.
    """

    SOUNDS: ClassVar[Mapping[SoundCoding, tuple[int, ...]]] = {
        SoundCoding.PCMU: (8000,),
        SoundCoding.PCMA: (8000,),
        SoundCoding.PCM: (16000, 8000, 24000, 48000),
    }
    SUBPROTOCOL: ClassVar[str] = "media"

    def __init__(self, facts: StreamFacts, sound: StreamSound) -> None:
        super().__init__(facts, sound)
        self._stopped = self._paused = self._buffering = False

    def start(self) -> str:
        """Return `MEDIA_START`, which describes the stream."""
        return self._event(
            "MEDIA_START",
            connection_id=self.ids.stream,
            channel=f"WebSocket/{self.ids.stream}",
            channel_id=self.ids.call,
            format=self._format,
            optimal_frame_size=self.sound.octets_a_second // FRAMES_A_SECOND,
            ptime=20,
            channel_variables=dict(self.facts.parameters),
        )

    def dtmf(self, digit: str, now: datetime) -> str:
        """Return `DTMF_END` with a digit of the caller."""
        return self._event("DTMF_END", channel_id=self.ids.call, digit=digit)

    def mark(self, name: str, cleared: bool) -> str | None:
        """Return the event that a mark stands for: the sound before it was played."""
        kind, about = name[:1], {"channel_id": self.ids.call}
        if kind == _DRAINED:
            return self._event("QUEUE_DRAINED", **about)
        if cleared:
            return None
        if name[1:]:
            about["correlation_id"] = name[1:]
        event = "MEDIA_MARK_PROCESSED" if kind == _MARK else "MEDIA_BUFFERING_COMPLETED"
        return self._event(event, **about)

    def pace(self, waiting_seconds: float) -> str | None:
        """Return `MEDIA_XOFF` when much sound waits, and `MEDIA_XON` when little does."""
        frames = waiting_seconds * FRAMES_A_SECOND
        if self._stopped and frames < XON_FRAMES:
            self._stopped = False
            return self._event("MEDIA_XON", channel_id=self.ids.call)
        if not self._stopped and frames >= XOFF_FRAMES:
            self._stopped = True
            return self._event("MEDIA_XOFF", channel_id=self.ids.call)
        return None

    def status(self, waiting_seconds: float) -> str:
        """Return `STATUS`: queue length in frames, thresholds, and whether it is paused."""
        return self._event(
            "STATUS",
            channel_id=self.ids.call,
            queue_length=round(waiting_seconds * FRAMES_A_SECOND),
            xon_level=XON_FRAMES,
            xoff_level=XOFF_FRAMES,
            queue_full=self._stopped,
            bulk_media=self._buffering,
            media_paused=self._paused,
        )

    def parse(self, message: Message) -> BotMessage:
        """Parse sound or a command of the bot.

        Raises ValueError for a message the dialect does not define.
        """
        if isinstance(message, bytes):
            return MediaMessage(message)
        command, about = self._command(message)
        found = self._commands(about).get(command)
        if found is None:
            raise ValueError("its command is none that is carried out")
        if isinstance(found, PauseMessage):
            self._paused = found.paused
        elif isinstance(found, ClearMessage):
            self._paused = self._buffering = False
        elif command.endswith("_MEDIA_BUFFERING"):
            self._buffering = command.startswith("START")
        return found

    @staticmethod
    def _commands(about: str) -> Mapping[str, BotMessage]:
        """Return what each command means, with a correlation id."""
        return {
            "ANSWER": NoMessage(),  # the call is answered when its stream begins
            "HANGUP": EndMessage(),
            "START_MEDIA_BUFFERING": NoMessage(),  # sound of any length is cut into frames
            "STOP_MEDIA_BUFFERING": MarkMessage(_BUFFERED + about),
            "FLUSH_MEDIA": ClearMessage(),
            "PAUSE_MEDIA": PauseMessage(True),
            "CONTINUE_MEDIA": PauseMessage(False),
            "MARK_MEDIA": MarkMessage(_MARK + about),
            "GET_STATUS": StatusRequest(),
            "REPORT_QUEUE_DRAINED": MarkMessage(_DRAINED, when_idle=True),
        }

    @property
    def _format(self) -> str:
        if self.sound.coding is SoundCoding.PCM:
            thousands = self.sound.rate_hz // 1000
            return "slin" if thousands == 8 else f"slin{thousands}"
        return "ulaw" if self.sound.coding is SoundCoding.PCMU else "alaw"

    def _command(self, text: str) -> tuple[str, str]:
        """Return the name of a command and its correlation id.  Raises ValueError."""
        found = parse_object(text, MOST_PARTS)
        command, about = found.get("command"), found.get("correlation_id", "")
        if not isinstance(command, str) or not isinstance(about, str):
            raise ValueError("it has no command, or a correlation_id that is no text")
        return command, checked_mark(about).name

    def _event(self, event: str, **about: Any) -> str:
        return json.dumps({"event": event, **about})


class AsteriskTextMessages(AsteriskMessages):
    """The same with control messages in plain text, which have no room for the parameters."""

    def _command(self, text: str) -> tuple[str, str]:
        command, _, about = text.partition(" ")
        return command, checked_mark(about).name

    def _event(self, event: str, **about: Any) -> str:
        about.pop("channel_variables", None)
        if event in ("MEDIA_MARK_PROCESSED", "MEDIA_BUFFERING_COMPLETED"):
            return " ".join([event, *filter(None, [about.get("correlation_id")])])
        if event not in ("MEDIA_START", "STATUS", "DTMF_END"):
            return event
        fields = (f"{name}:{json.dumps(value).strip(chr(34))}" for name, value in about.items())
        return " ".join([event, *fields])
