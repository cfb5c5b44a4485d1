"""The messages of jambonz' `listen` verb with streaming both ways.

Sound is linear PCM of 16 bits, little-endian, mono, as binary messages; all else is JSON text.
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
    EndMessage,
    ForgetMarksMessage,
    MediaMessage,
    Message,
    StreamMessages,
    checked_mark,
)
from softphone.agents.json_messages import object_in, parse_object
from softphone.agents.sound_coding import SoundCoding

DIGIT_LENGTH = "800"
"""DTMF duration reported, in 1/8000 s (100 ms): the call does not report the real one."""


class JambonzMessages(StreamMessages):
    """jambonz' messages of one stream, which ends with its connection."""

    SOUNDS: ClassVar[Mapping[SoundCoding, tuple[int, ...]]] = {
        SoundCoding.PCM: (8000, 16000, 24000, 48000)
    }
    SUBPROTOCOL: ClassVar[str] = "audio.jambonz.org"

    def start(self) -> str:
        """Return call attributes and parameters at the top level; the call's own keys win."""
        facts = self.facts
        own = {
            "callSid": facts.ids.call,
            "accountSid": facts.ids.account,
            "callId": facts.sip_call_id,
            "direction": "inbound" if facts.incoming else "outbound",
            "from": facts.caller,
            "to": facts.called,
            "sampleRate": self.sound.rate_hz,
            "mixType": "mono",
        }
        return json.dumps({**facts.parameters, **own})

    def dtmf(self, digit: str, now: datetime) -> str:
        """Return a digit of the caller."""
        return json.dumps({"event": "dtmf", "dtmf": digit, "duration": DIGIT_LENGTH})

    def mark(self, name: str, cleared: bool) -> str:
        """Return a mark: the sound before it was played, or cleared."""
        event = "cleared" if cleared else "playout"
        return json.dumps({"type": "mark", "data": {"name": name, "event": event}})

    def parse(self, message: Message) -> BotMessage:
        """Parse a message of the bot.

        Raises ValueError for a message the dialect does not define.
        """
        if isinstance(message, bytes):
            return MediaMessage(message)
        found = parse_object(message, MOST_PARTS)
        kind = found.get("type")
        if kind == "mark":
            if not isinstance(name := object_in(found, "data").get("name"), str):
                raise ValueError("it has no data.name")
            return checked_mark(name)
        if isinstance(kind, str) and kind in _PLAIN:
            return _PLAIN[kind]
        raise ValueError("its type is none of mark, clearMarks, killAudio and disconnect")


_PLAIN: Mapping[str, BotMessage] = {
    "clearMarks": ForgetMarksMessage(),
    "killAudio": ClearMessage(),
    "disconnect": EndMessage(),
}
