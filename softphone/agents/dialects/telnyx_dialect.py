"""The messages of Telnyx media streaming with RTP payloads both ways, as JSON text.

Sound is a payload without its RTP header, in base64: PCMU, PCMA, or L16 (RFC 3551 section 4.5.11),
whose octets are in network order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID

import numpy as np

from softphone.agents.dialects.stream_dialect import (
    MOST_PARTS,
    BotMessage,
    MediaMessage,
    Message,
    StreamFacts,
    StreamMessages,
    StreamSound,
    text_only,
)
from softphone.agents.dialects.twilio_dialect import parse_event
from softphone.agents.json_messages import encode_base64, parse_object
from softphone.agents.sound_coding import SoundCoding

_ENCODINGS = {SoundCoding.PCMU: "PCMU", SoundCoding.PCMA: "PCMA", SoundCoding.PCM: "L16"}


class TelnyxMessages(StreamMessages):
    """Telnyx's messages of one stream; numbers them in sequence.

    `call_control_id` is the callSid; `user_id`, `call_session_id` and `stream_id` are UUIDs of the
    ids' hex digits.
    """

    SOUNDS: ClassVar[Mapping[SoundCoding, tuple[int, ...]]] = {
        SoundCoding.PCMU: (8000,),
        SoundCoding.PCMA: (8000,),
        SoundCoding.PCM: (16000, 8000),
    }
    HELLO: ClassVar[Message | None] = json.dumps({"event": "connected", "version": "1.0.0"})

    def __init__(self, facts: StreamFacts, sound: StreamSound) -> None:
        super().__init__(facts, sound)
        self._number = 0
        self._chunk = 0
        self._stream_id = _uuid(self.ids.stream)

    def start(self) -> str:
        """Return `start`, which describes call and stream."""
        facts = self.facts
        return self._message(
            "start",
            start={
                "user_id": _uuid(facts.ids.account),
                "call_control_id": facts.ids.call,
                "call_session_id": _uuid(facts.ids.call),
                "from": facts.caller,
                "to": facts.called,
                "tags": [],
                "client_state": "",
                "custom_parameters": dict(facts.parameters),
                "media_format": {
                    "encoding": _ENCODINGS[self.sound.coding],
                    "sample_rate": self.sound.rate_hz,
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
                "payload": encode_base64(self._swapped(octets)),
            },
        )

    def dtmf(self, digit: str, now: datetime) -> str:
        """Return `dtmf` with a digit of the caller, and its time in UTC."""
        at = now.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
        return self._message("dtmf", occurred_at=f"{at}Z", dtmf={"digit": digit})

    def mark(self, name: str, cleared: bool) -> str:
        """Return `mark`: the sound before it was played, or cleared."""
        return self._message("mark", mark={"name": name})

    def stop(self) -> str:
        """Return `stop`, the last message."""
        ids = self.ids
        return self._message(
            "stop", stop={"user_id": _uuid(ids.account), "call_control_id": ids.call}
        )

    def parse(self, message: Message) -> BotMessage:
        """Parse a message of the bot.

        Raises ValueError for a message the dialect does not define.
        """
        found = parse_event(parse_object(text_only(message), MOST_PARTS))
        if isinstance(found, MediaMessage):
            return MediaMessage(self._swapped(found.octets))
        return found

    def _swapped(self, octets: bytes) -> bytes:
        """Return 16-bit samples in the other order of octets; an odd one at the end stays."""
        if self.sound.coding is not SoundCoding.PCM:
            return octets
        whole = len(octets) & ~1
        return np.frombuffer(octets[:whole], "<i2").astype(">i2").tobytes() + octets[whole:]

    def _message(self, event: str, **body: Any) -> str:
        self._number += 1
        head = {"event": event, "sequence_number": str(self._number), "stream_id": self._stream_id}
        return json.dumps({**head, **body})


def _uuid(name: str) -> str:
    """Return the hex digits behind the two letters of a name as a UUID."""
    return str(UUID(name[2:]))
