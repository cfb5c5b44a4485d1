"""The messages of Twilio Media Streams, as JSON text: those we send, and those of the bot.

Sound is 8-bit mu-law (ITU-T G.711) at 8 kHz, mono, in base64.  Numbers that count are strings.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

CLOCK_RATE_HZ = 8000
FRAME_SAMPLES = 160
"""Samples, and octets, of a message of ours: 20 ms."""
LONGEST_MARK_NAME = 1024
"""The most characters of a mark's name: a thousand of them wait at most."""
MOST_PARTS = 2048
"""The most brackets and commas of a bot's message; a mark's name of any characters has fewer."""

CONNECTED = json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"})
"""The first message on a connection; it has no number."""


@dataclass(frozen=True, slots=True)
class StreamIds:
    """What names a stream, its call and the account: two letters and 32 hex digits each."""

    stream: str
    call: str
    account: str


@dataclass(frozen=True, slots=True)
class MediaMessage:
    """Sound to be played after what was sent before: mu-law octets."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class MarkMessage:
    """A name to be returned when all sound before it was played, or cleared."""

    name: str


@dataclass(frozen=True, slots=True)
class ClearMessage:
    """The order to drop the sound that was not played yet."""


BotMessage: TypeAlias = MediaMessage | MarkMessage | ClearMessage


class StreamWriter:
    """Makes the messages of one stream, in order, with their numbers."""

    def __init__(self, ids: StreamIds, parameters: Mapping[str, str]) -> None:
        self.ids = ids
        self._parameters = dict(parameters)
        self._number = 0
        self._chunk = 0

    def start(self) -> str:
        """Return `start`, which describes the stream."""
        ids = self.ids
        return self._message(
            "start",
            start={
                "streamSid": ids.stream,
                "accountSid": ids.account,
                "callSid": ids.call,
                "tracks": ["inbound"],
                "customParameters": self._parameters,
                "mediaFormat": {
                    "encoding": "audio/x-mulaw",
                    "sampleRate": CLOCK_RATE_HZ,
                    "channels": 1,
                },
            },
        )

    def media(self, octets: bytes, timestamp_ms: int) -> str:
        """Return `media` with sound of the caller; the time counts from the stream's start."""
        self._chunk += 1
        return self._message(
            "media",
            media={
                "track": "inbound",
                "chunk": str(self._chunk),
                "timestamp": str(timestamp_ms),
                "payload": base64.b64encode(octets).decode("ascii"),
            },
        )

    def dtmf(self, digit: str) -> str:
        """Return `dtmf` with a digit of the caller."""
        return self._message("dtmf", dtmf={"track": "inbound_track", "digit": digit})

    def mark(self, name: str) -> str:
        """Return `mark`: the sound before it was played, or cleared."""
        return self._message("mark", mark={"name": name})

    def stop(self) -> str:
        """Return `stop`, the last message."""
        ids = self.ids
        return self._message("stop", stop={"accountSid": ids.account, "callSid": ids.call})

    def _message(self, event: str, **body: Any) -> str:
        self._number += 1
        number = str(self._number)
        head = {"event": event, "sequenceNumber": number, "streamSid": self.ids.stream}
        return json.dumps({**head, **body})


def parse_bot_message(text: str, stream_id: str) -> BotMessage:
    """Parse a message of the bot for a stream.

    Raises ValueError, in words that hold nothing of the message, for what is none of the three
    kinds, lacks a field or is for another stream.
    """
    if sum(map(text.count, "[{,")) > MOST_PARTS:
        # To build a megabyte of small values takes a third of a second.
        raise ValueError("it has too many parts")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
    if not isinstance(found, dict):
        raise ValueError("it is no object")
    if found.get("streamSid") != stream_id:
        raise ValueError("its streamSid is not that of the stream")
    event = found.get("event")
    if event == "media":
        return _media(_text(found, "media", "payload"))
    if event == "mark":
        name = _text(found, "mark", "name")
        if len(name) > LONGEST_MARK_NAME:
            raise ValueError(f"its mark has a name of more than {LONGEST_MARK_NAME} characters")
        return MarkMessage(name)
    if event == "clear":
        return ClearMessage()
    raise ValueError("its event is none of media, mark and clear")


def _media(payload: str) -> MediaMessage:
    try:
        return MediaMessage(base64.b64decode(payload, validate=True))
    except ValueError:
        raise ValueError("its payload is not base64") from None


def _text(message: Mapping[str, Any], outer: str, inner: str) -> str:
    body = message.get(outer)
    value = body.get(inner) if isinstance(body, dict) else None
    if not isinstance(value, str):
        raise ValueError(f"it has no {outer}.{inner}")
    return value
