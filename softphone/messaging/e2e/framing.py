"""The frames that two clients exchange inside their TLS session: messages and acknowledgments.

Sans IO.  A frame is four octets of length, most significant first, and that many octets of JSON:
`{"kind": "message", "id": ..., "body": ...}` or `{"kind": "ack", "id": ...}`.  Frames of unknown
kinds are skipped.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from enum import Enum

from softphone.errors import TransportError

MOST_BODY = 64 * 1024
"""The maximum size of a message, in octets of UTF-8."""
MOST_ID = 256
"""The maximum length of a message id, in characters."""
FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Matches characters that XML cannot carry (XML 1.0 section 2.2); no message may contain them."""
# JSON writes a control character as six octets.
_MOST_FRAME = 6 * MOST_BODY + 8 * MOST_ID
_HEADER = 4


class FrameKind(Enum):
    """The kind of a frame: a message, or the acknowledgment of one."""

    MESSAGE = "message"
    ACK = "ack"


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame; an acknowledgment has no body."""

    kind: FrameKind
    id: str
    body: str = field(default="", repr=False)

    def encode(self) -> bytes:
        """Return the frame as octets, its length first."""
        fields = {"kind": self.kind.value, "id": self.id}
        if self.kind is FrameKind.MESSAGE:
            fields["body"] = self.body
        data = json.dumps(fields, ensure_ascii=False).encode("utf-8", "replace")
        return len(data).to_bytes(_HEADER, "big") + data


class FrameReader:
    """Splits the octets of a session into frames; keeps an incomplete frame for the next octets."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed_bytes(self, data: bytes) -> list[Frame]:
        """Return the frames that are complete now.

        Raises TransportError for data that is no frame, exceeds the limits, or contains characters
        that XML cannot carry.
        """
        self._data += data
        found: list[Frame] = []
        at = 0
        while len(self._data) - at >= _HEADER:
            size = int.from_bytes(self._data[at : at + _HEADER], "big")
            if size > _MOST_FRAME:
                raise TransportError(f"the other client sent a frame of {size} octets")
            end = at + _HEADER + size
            if len(self._data) < end:
                break
            frame = _frame_of(bytes(self._data[at + _HEADER : end]))
            at = end
            if frame is not None:
                found.append(frame)
        del self._data[:at]
        return found


def _frame_of(data: bytes) -> Frame | None:
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError) as exc:
        raise TransportError("the other client sent what is no frame") from exc
    if not isinstance(fields, dict):
        raise TransportError("the other client sent what is no frame")
    key, body = fields.get("id"), fields.get("body", "")
    if fields.get("kind") not in (FrameKind.MESSAGE.value, FrameKind.ACK.value):
        return None
    if not isinstance(key, str) or not isinstance(body, str) or not 0 < len(key) <= MOST_ID:
        raise TransportError("the other client sent a frame whose fields are wrong")
    if len(body.encode("utf-8", "replace")) > MOST_BODY:
        raise TransportError(f"the other client sent a message of more than {MOST_BODY} octets")
    if FORBIDDEN.search(key) or FORBIDDEN.search(body):
        raise TransportError("the other client sent characters that no message may have")
    return Frame(FrameKind(fields["kind"]), key, body)
