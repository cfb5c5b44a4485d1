"""H.264 in RTP, both ways: single NAL units, STAP-A and FU-A (RFC 6184 sections 5.6 to 5.8).

Packetization modes 0 (single NAL unit) and 1 (non-interleaved).  The STAP-B, MTAP and FU-B of the
interleaved mode 2 are rejected.  Frames are access units in Annex B form: each NAL unit follows a
start code.  Nothing is decoded here; NAL unit types tell whether a frame is a key frame.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise

from softphone.rtp.payload_format import LARGEST_FRAME, LARGEST_PAYLOAD, MOST_PARTS, EncodedFrame

START_CODE = b"\0\0\0\1"
STAP_A, FU_A = 24, 28
IDR, SEI, SPS, PPS, DELIMITER, FILLER = 5, 6, 7, 8, 9, 12
SINGLE = range(1, 24)
FORBIDDEN_BIT = 0x80
REFERENCE_BITS = 0x60
TYPE_BITS = 0x1F
FU_START, FU_END = 0x80, 0x40
MOST_UNITS = 1024
"""NAL units of one frame: more slices than any level allows (ITU-T H.264 table A-1)."""

_NAMES = {25: "STAP-B", 26: "MTAP16", 27: "MTAP24", 29: "FU-B"}
_START = re.compile(rb"\x00\x00\x01")


def split_nal_units(data: bytes) -> list[bytes]:
    """Return the NAL units of a byte stream (ITU-T H.264 annex B), from its first start code on."""
    starts = [match.end() for match in _START.finditer(data)]
    edges = [*starts, len(data) + 3]
    # Zeros before a start code and after the last NAL unit do not belong to a NAL unit (B.1.1).
    units = (data[start : end - 3].rstrip(b"\0") for start, end in pairwise(edges))
    return [unit for unit in units if unit]


def join_nal_units(units: Iterable[bytes]) -> bytes:
    """Return NAL units as an Annex B byte stream."""
    return b"".join(START_CODE + unit for unit in units)


class H264Packetizer:
    """Cuts access units into payloads of at most `size` octets.

    In `mode` 1 small NAL units share a STAP-A and large ones are cut into FU-A.  In `mode` 0 each
    NAL unit is a payload of its own (section 6.2), whatever its size: configure an encoder for
    mode 0 to make slices of at most `size` octets.  Raises ValueError for another mode, or a
    `size` below 64.
    """

    def __init__(self, *, mode: int = 1, size: int = LARGEST_PAYLOAD) -> None:
        if mode not in (0, 1):
            raise ValueError(f"packetization mode {mode} is not 0 or 1")
        if size < 64:
            raise ValueError(f"a payload of {size} octets holds no useful fragment")
        self.mode = mode
        self.size = size

    def packetize(self, data: bytes) -> list[bytes]:
        """Return the payloads of one access unit in Annex B form."""
        units = [
            unit for unit in split_nal_units(data) if unit[0] & TYPE_BITS not in (DELIMITER, FILLER)
        ]
        if self.mode == 0:
            return units
        payloads: list[bytes] = []
        together: list[bytes] = []
        space = self.size - 1
        for unit in units:
            if 2 + len(unit) > space:
                payloads += _aggregate(together)
                together, space = [], self.size - 1
            if len(unit) > self.size:
                payloads += self._fragment(unit)
            else:
                together.append(unit)
                space -= 2 + len(unit)
        return payloads + _aggregate(together)

    def _fragment(self, unit: bytes) -> list[bytes]:
        """Cut one NAL unit into FU-A payloads; all but the last have one size (section 5.8)."""
        indicator = unit[0] & (FORBIDDEN_BIT | REFERENCE_BITS) | FU_A
        kind, body = unit[0] & TYPE_BITS, unit[1:]
        space = self.size - 2
        count = -(-len(body) // space)
        step = -(-len(body) // count)
        payloads = []
        for at in range(0, len(body), step):
            flags = (FU_START if at == 0 else 0) | (FU_END if at + step >= len(body) else 0)
            payloads.append(bytes((indicator, flags | kind)) + body[at : at + step])
        return payloads


def _aggregate(units: list[bytes]) -> list[bytes]:
    """Return one payload: a single NAL unit as it is, several as a STAP-A (section 5.7.1)."""
    if len(units) < 2:
        return list(units)
    # F is the OR of the F bits, NRI the maximum of the NAL units inside (section 5.7).
    first = max(unit[0] & FORBIDDEN_BIT for unit in units)
    first |= max(unit[0] & REFERENCE_BITS for unit in units)
    parts = [bytes((first | STAP_A,))]
    for unit in units:
        parts += (len(unit).to_bytes(2, "big"), unit)
    return [b"".join(parts)]


class H264Depacketizer:
    """Joins payloads to access units of at most `limit` octets.

    Parameter sets that arrive without a slice are kept for the next frame, since some senders give
    them a timestamp of their own.
    """

    def __init__(self, *, limit: int = LARGEST_FRAME) -> None:
        self._limit = limit
        self._units: list[bytes] = []
        self._held = 0
        self._fragments: list[bytes] = []
        self._fragment_kind = 0
        self._broken = False

    def add_payload(self, payload: bytes, *, gap: bool = False) -> str | None:
        """Add the next payload; see `Depacketizer`."""
        if gap:
            self._mark_broken()
        reason = self._parse_payload(payload)
        if reason is not None:
            self._mark_broken()
        return reason

    def _mark_broken(self) -> None:
        """Mark the frame incomplete and drop the open FU-A, which cannot be completed."""
        self._broken = True
        self._held -= sum(map(len, self._fragments))
        self._fragments.clear()

    def _parse_payload(self, payload: bytes) -> str | None:
        if not payload:
            return "an H.264 payload is empty"
        if payload[0] & FORBIDDEN_BIT:
            return "the forbidden bit of a NAL unit is set"
        kind = payload[0] & TYPE_BITS
        if kind == FU_A:
            return self._parse_fu_a(payload)
        if self._fragments:
            return "a fragmented NAL unit has no end"
        if kind == STAP_A:
            return self._parse_stap_a(payload)
        if kind in SINGLE:
            return self._add_unit(payload)
        return f"{_NAMES.get(kind, f'NAL unit type {kind}')} is not of packetization mode 0 or 1"

    def _parse_stap_a(self, payload: bytes) -> str | None:
        at = 1
        if len(payload) < 4:
            return "a STAP-A holds no NAL unit"
        while at < len(payload):
            size = int.from_bytes(payload[at : at + 2], "big")
            at += 2
            if size == 0 or at + size > len(payload):
                return "a NAL unit does not fit into its STAP-A"
            if payload[at] & TYPE_BITS not in SINGLE or payload[at] & FORBIDDEN_BIT:
                return "a STAP-A holds what is no single NAL unit"
            reason = self._add_unit(payload[at : at + size])
            if reason is not None:
                return reason
            at += size
        return None

    def _parse_fu_a(self, payload: bytes) -> str | None:
        if len(payload) < 3:
            return "an FU-A holds nothing"
        first, last = payload[1] & FU_START, payload[1] & FU_END
        kind = payload[1] & TYPE_BITS
        if kind not in SINGLE or (first and last):
            return "an FU-A has a header that cannot be (RFC 6184 section 5.8)"
        if first:
            if self._fragments:
                return "a fragmented NAL unit has no end"
            self._fragments.append(bytes((payload[0] & REFERENCE_BITS | kind,)))
            self._held += 1
            self._fragment_kind = kind
        elif not self._fragments or kind != self._fragment_kind:
            return "an FU-A continues no NAL unit"
        if self._held + len(payload) - 2 > self._limit or len(self._fragments) >= MOST_PARTS:
            return f"a frame has more than {self._limit} octets"
        self._fragments.append(payload[2:])
        self._held += len(payload) - 2
        if not last:
            return None
        unit = b"".join(self._fragments)
        self._fragments.clear()
        self._held -= len(unit)
        return self._add_unit(unit)

    def _add_unit(self, unit: bytes) -> str | None:
        if self._held + len(unit) > self._limit or len(self._units) >= MOST_UNITS:
            return f"a frame has more than {self._limit} octets or {MOST_UNITS} NAL units"
        self._units.append(unit)
        self._held += len(unit)
        return None

    def finish_frame(self, *, gap: bool = False) -> EncodedFrame | None:
        """Return the access unit of the payloads added so far; see `Depacketizer`."""
        if self._fragments or gap:
            self._mark_broken()
        kinds = {unit[0] & TYPE_BITS for unit in self._units}
        if not self._broken and kinds <= {SEI, SPS, PPS, DELIMITER, FILLER}:
            return None
        units, broken = self._units, self._broken
        self._units, self._held, self._broken = [], 0, False
        if not units:
            return None
        return EncodedFrame(join_nal_units(units), key=IDR in kinds, complete=not broken)
