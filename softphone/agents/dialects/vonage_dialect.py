"""The messages of Vonage's WebSockets: sound as binary messages, all else as JSON text.

Sound is linear PCM of 16 bits, little-endian, mono: 20 ms a message.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar

from softphone.agents.dialects.stream_dialect import (
    MOST_PARTS,
    BotMessage,
    ClearMessage,
    MediaMessage,
    Message,
    StreamMessages,
    checked_mark,
)
from softphone.agents.json_messages import parse_object
from softphone.agents.sound_coding import SoundCoding

DIGIT_MS = 100
"""DTMF duration reported, in ms: the call does not report the real one."""


class VonageMessages(StreamMessages):
    """Vonage's messages of one stream.

    The parameters stand beside the event, as custom headers do at Vonage.  A stream ends with its
    connection.  After `clear`, pending `notify` events are not returned.
    """

    SOUNDS: ClassVar[Mapping[SoundCoding, tuple[int, ...]]] = {
        SoundCoding.PCM: (16000, 8000, 24000)
    }

    def start(self) -> str:
        """Return `websocket:connected`, with the parameters."""
        content_type = f"audio/l16;rate={self.sound.rate_hz}"
        own = {"event": "websocket:connected", "content-type": content_type}
        return json.dumps({**self.facts.parameters, **own})

    def dtmf(self, digit: str, now: datetime) -> str:
        """Return `websocket:dtmf` with a digit of the caller."""
        return json.dumps({"event": "websocket:dtmf", "digit": digit, "duration": DIGIT_MS})

    def mark(self, name: str, cleared: bool) -> str | None:
        """Return `websocket:notify`: the sound before it was played."""
        if cleared:
            return None
        return json.dumps({"event": "websocket:notify", "payload": json.loads(name)})

    def cleared(self) -> str:
        """Return `websocket:cleared`."""
        return json.dumps({"event": "websocket:cleared"})

    def parse(self, message: Message) -> BotMessage:
        """Parse a message of the bot; a mark's name is the payload of `notify`.

        Raises ValueError for a message the dialect does not define.
        """
        if isinstance(message, bytes):
            return MediaMessage(message)
        found = parse_object(message, MOST_PARTS)
        action = found.get("action")
        if action == "clear":
            return ClearMessage()
        if action == "notify":
            if not isinstance(payload := found.get("payload"), dict):
                raise ValueError("it has no payload")
            return checked_mark(json.dumps(payload))
        raise ValueError("its action is neither clear nor notify")
