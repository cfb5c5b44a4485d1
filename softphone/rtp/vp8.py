"""VP8 in RTP, both ways: the payload descriptor of RFC 7741 section 4.2.

The packetizer cuts frames at any octet, as section 4.4 allows, ignores partition boundaries and
makes no temporal layers.  The depacketizer accepts temporal layers.  Of the bitstream it reads
only the bit for a key frame (RFC 6386 section 9.1).
"""

from __future__ import annotations

from dataclasses import dataclass

from softphone.rtp.payload_format import LARGEST_FRAME, LARGEST_PAYLOAD, MOST_PARTS, EncodedFrame

EXTENDED, NON_REFERENCE, START = 0x80, 0x20, 0x10
PARTITION = 0x07
PICTURE_ID, TL0PICIDX, TID, KEYIDX = 0x80, 0x40, 0x20, 0x10
LONG_ID = 0x80
PICTURE_IDS = 1 << 15


@dataclass(frozen=True, slots=True)
class Vp8Descriptor:
    """The payload descriptor of one packet; None: the field is absent.

    `start` is the S bit (a partition begins), `partition` the PID, `layer_sync` the Y bit.
    """

    start: bool
    partition: int = 0
    non_reference: bool = False
    picture_id: int | None = None
    tl0_picture_index: int | None = None
    temporal_layer: int | None = None
    layer_sync: bool = False
    key_index: int | None = None

    @classmethod
    def parse(cls, payload: bytes) -> tuple[Vp8Descriptor, int] | None:
        """Return the descriptor and its length; None for one that is cut off."""
        if not payload:
            return None
        # Zeros replace octets that are cut off: one check of the length at the end is enough.
        whole = payload[:8] + bytes(8)
        first, at = whole[0], 1
        flags = 0
        if first & EXTENDED:
            flags, at = whole[1], 2
        picture_id, at = _picture_id(whole, at) if flags & PICTURE_ID else (None, at)
        tl0 = layer = key = None
        sync = False
        if flags & TL0PICIDX:
            tl0, at = whole[at], at + 1
        if flags & (TID | KEYIDX):
            both, at = whole[at], at + 1
            layer, sync = (both >> 6, bool(both & 0x20)) if flags & TID else (None, False)
            key = both & 0x1F if flags & KEYIDX else None
        if at > len(payload):
            return None
        descriptor = cls(
            start=bool(first & START),
            partition=first & PARTITION,
            non_reference=bool(first & NON_REFERENCE),
            picture_id=picture_id,
            tl0_picture_index=tl0,
            temporal_layer=layer,
            layer_sync=sync,
            key_index=key,
        )
        return descriptor, at

    def __bytes__(self) -> bytes:
        """The descriptor as on the wire.  Raises ValueError for a field that does not fit."""
        first = (START if self.start else 0) | (NON_REFERENCE if self.non_reference else 0)
        first |= self.partition
        flags, fields = 0, bytearray()
        if self.picture_id is not None:
            flags |= PICTURE_ID
            fields += (LONG_ID << 8 | self.picture_id).to_bytes(2, "big")
        if self.tl0_picture_index is not None:
            flags |= TL0PICIDX
            fields.append(self.tl0_picture_index)
        if self.temporal_layer is not None or self.key_index is not None:
            flags |= 0 if self.temporal_layer is None else TID
            flags |= 0 if self.key_index is None else KEYIDX
            sync = 0x20 if self.layer_sync else 0
            fields.append((self.temporal_layer or 0) << 6 | sync | (self.key_index or 0))
        if not flags:
            return bytes((first,))
        return bytes((first | EXTENDED, flags)) + bytes(fields)


def _picture_id(data: bytes, at: int) -> tuple[int, int]:
    """Return the PictureID at `at`, of 7 or 15 bits, and the offset of its end."""
    if data[at] & LONG_ID:
        return (data[at] & 0x7F) << 8 | data[at + 1], at + 2
    return data[at], at + 1


class Vp8Packetizer:
    """Cuts frames into payloads of at most `size` octets, with a 15-bit PictureID.

    Raises ValueError for a `size` below 64.
    """

    def __init__(self, *, size: int = LARGEST_PAYLOAD, picture_id: int = 0) -> None:
        if size < 64:
            raise ValueError(f"a payload of {size} octets holds no useful fragment")
        self.size = size
        self._picture_id = picture_id % PICTURE_IDS

    def packetize(self, data: bytes) -> list[bytes]:
        """The payloads of one frame, of nearly equal sizes."""
        if not data:
            return []
        head = bytes(Vp8Descriptor(start=True, picture_id=self._picture_id))
        rest = bytes(Vp8Descriptor(start=False, picture_id=self._picture_id))
        self._picture_id = (self._picture_id + 1) % PICTURE_IDS
        count = -(-len(data) // (self.size - len(head)))
        step = -(-len(data) // count)
        return [
            (head if at == 0 else rest) + data[at : at + step] for at in range(0, len(data), step)
        ]


class Vp8Depacketizer:
    """Joins payloads to frames of at most `limit` octets."""

    def __init__(self, *, limit: int = LARGEST_FRAME) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._held = 0
        self._picture_id: int | None = None
        self._broken = False

    def add_payload(self, payload: bytes, *, gap: bool = False) -> str | None:
        """Add the next payload; see `Depacketizer`."""
        self._broken |= gap
        reason = self._parse_payload(payload)
        self._broken |= reason is not None
        return reason

    def _parse_payload(self, payload: bytes) -> str | None:
        read = Vp8Descriptor.parse(payload)
        if read is None:
            return "a VP8 payload descriptor is cut off"
        descriptor, at = read
        if at == len(payload):
            return "a VP8 payload is empty"
        begins = descriptor.start and descriptor.partition == 0
        if not self._parts and not begins:
            return "the first packet of a VP8 frame is missing"
        if self._parts and begins:
            return "a VP8 frame has two beginnings"
        if self._parts and descriptor.picture_id != self._picture_id:
            return "a VP8 frame has packets of two pictures"
        if self._held + len(payload) - at > self._limit or len(self._parts) >= MOST_PARTS:
            return f"a frame has more than {self._limit} octets"
        self._picture_id = descriptor.picture_id
        self._parts.append(payload[at:])
        self._held += len(payload) - at
        return None

    def finish_frame(self, *, gap: bool = False) -> EncodedFrame | None:
        """Return the frame of the payloads added so far; see `Depacketizer`."""
        data, broken = b"".join(self._parts), self._broken or gap
        self._parts, self._held, self._broken, self._picture_id = [], 0, False, None
        if not data:
            return None
        return EncodedFrame(data, key=not data[0] & 1, complete=not broken)
