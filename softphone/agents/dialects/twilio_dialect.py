"""The messages of Twilio Media Streams, as JSON text: those we send, and those of the bot.

Sound is 8-bit mu-law (ITU-T G.711) at 8 kHz, mono, in base64.  Sequence and
chunk numbers are JSON strings.
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
    MediaMessage,
    Message,
    StreamFacts,
    StreamMessages,
    StreamSound,
    checked_mark,
    text_only,
)
from softphone.agents.json_messages import decode_base64, encode_base64, parse_object
from softphone.agents.sound_coding import SoundCoding


class TwilioMessages(StreamMessages):
    """Twilio's messages of one stream; numbers them in sequence."""

    SOUNDS: ClassVar[Mapping[SoundCoding, tuple[int, ...]]] = {SoundCoding.PCMU: (8000,)}
    HELLO: ClassVar[Message | None] = json.dumps(
        {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    )

    def __init__(self, facts: StreamFacts, sound: StreamSound) -> None:
        super().__init__(facts, sound)
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
                "customParameters": dict(self.facts.parameters),
                "mediaFormat": {
                    "encoding": "audio/x-mulaw",
                    "sampleRate": self.sound.rate_hz,
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
                "payload": encode_base64(octets),
            },
        )

    def dtmf(self, digit: str, now: datetime) -> str:
        """Return `dtmf` with a digit of the caller."""
        return self._message("dtmf", dtmf={"track": "inbound_track", "digit": digit})

    def mark(self, name: str, cleared: bool) -> str:
        """Return `mark`: the sound before it was played, or cleared."""
        return self._message("mark", mark={"name": name})

    def stop(self) -> str:
        """Return `stop`, the last message."""
        ids = self.ids
        return self._message("stop", stop={"accountSid": ids.account, "callSid": ids.call})

    def parse(self, message: Message) -> BotMessage:
        """Parse a message of the bot for this stream.

        Raises ValueError for a message the dialect does not define.
        """
        return parse_bot_message(text_only(message), self.ids.stream)

    def _message(self, event: str, **body: Any) -> str:
        self._number += 1
        number = str(self._number)
        head = {"event": event, "sequenceNumber": number, "streamSid": self.ids.stream}
        return json.dumps({**head, **body})


def parse_bot_message(text: str, stream_id: str) -> BotMessage:
    """Parse a message of the bot for a stream.

    Raises ValueError, in words that hold nothing of the message, for what is not media, mark or
    clear, lacks a field or is for another stream.
    """
    found = parse_object(text, MOST_PARTS)
    if found.get("streamSid") != stream_id:
        raise ValueError("its streamSid is not that of the stream")
    return parse_event(found)


def parse_event(found: Mapping[str, Any]) -> BotMessage:
    """Parse `media`, `mark` or `clear`, which Telnyx has too.

    Raises ValueError for a message the dialect does not define.
    """
    event = found.get("event")
    if event == "media":
        return MediaMessage(decode_base64(_text(found, "media", "payload")))
    if event == "mark":
        return checked_mark(_text(found, "mark", "name"))
    if event == "clear":
        return ClearMessage()
    raise ValueError("its event is none of media, mark and clear")


def _text(message: Mapping[str, Any], outer: str, inner: str) -> str:
    body = message.get(outer)
    value = body.get(inner) if isinstance(body, dict) else None
    if not isinstance(value, str):
        raise ValueError(f"it has no {outer}.{inner}")
    return value
