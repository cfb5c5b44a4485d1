"""RTP data packets and their header extensions, one at a time (RFC 3550 section 5).

Parsing checks every length before it reads the octets that the length covers.  This module serves
the scalar path, the lab and tests; `softphone.media.tick.rtp_headers` reads and writes batches.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

VERSION = 2
HEADER_LENGTH = 12
"""Octets of the fixed header (RFC 3550 section 5.1)."""

FIXED = struct.Struct("!BBHII")
RTCP_PACKET_TYPES = range(192, 224)


class MalformedPacket(ValueError):
    """The octets are not a valid packet; the message says why."""


def is_rtcp(data: bytes) -> bool:
    """Whether a datagram on a port shared by RTP and RTCP is RTCP (RFC 5761 section 4)."""
    return len(data) >= 8 and data[0] >> 6 == VERSION and data[1] in RTCP_PACKET_TYPES


@dataclass(frozen=True, slots=True)
class HeaderExtension:
    """A header extension (RFC 3550 section 5.3.1).

    `profile` is the 16 bits "defined by profile", `data` whole 32-bit words.
    """

    profile: int
    data: bytes


@dataclass(frozen=True, slots=True)
class RtpPacket:
    """One RTP data packet (RFC 3550 section 5.1); `padding` counts the padding octets."""

    payload_type: int
    sequence_number: int
    timestamp: int
    ssrc: int
    payload: bytes = b""
    marker: bool = False
    csrc: tuple[int, ...] = ()
    extension: HeaderExtension | None = None
    padding: int = 0

    @classmethod
    def parse(cls, data: bytes) -> RtpPacket:
        """Read one packet.

        Raises MalformedPacket for another version, or a CSRC list, extension or padding that runs
        beyond the octets.
        """
        if len(data) < HEADER_LENGTH:
            raise MalformedPacket(f"{len(data)} octets are too few for an RTP header")
        first, second, sequence_number, timestamp, ssrc = FIXED.unpack_from(data)
        if first >> 6 != VERSION:
            raise MalformedPacket(f"RTP version {first >> 6} is not {VERSION}")
        at = HEADER_LENGTH + 4 * (first & 0x0F)
        if at > len(data):
            raise MalformedPacket("the CSRC list runs beyond the packet")
        csrc = struct.unpack_from(f"!{first & 0x0F}I", data, HEADER_LENGTH)
        extension = None
        if first & 0x10:
            extension, at = parse_extension(data, at)
        padding = padding_length(data, at) if first & 0x20 else 0
        return cls(
            payload_type=second & 0x7F,
            sequence_number=sequence_number,
            timestamp=timestamp,
            ssrc=ssrc,
            payload=bytes(data[at : len(data) - padding]),
            marker=bool(second & 0x80),
            csrc=csrc,
            extension=extension,
            padding=padding,
        )

    def __bytes__(self) -> bytes:
        """The packet as on the wire.  Raises ValueError for a field that does not fit."""
        if len(self.csrc) > 15 or not 0 <= self.padding <= 255:
            raise ValueError("a packet has at most 15 CSRCs and 255 octets of padding")
        if not 0 <= self.payload_type <= 127:
            raise ValueError("a payload type is 0 to 127")
        first = VERSION << 6 | bool(self.padding) << 5 | bool(self.extension) << 4 | len(self.csrc)
        second = self.marker << 7 | self.payload_type
        try:
            parts = [FIXED.pack(first, second, self.sequence_number, self.timestamp, self.ssrc)]
            parts.append(struct.pack(f"!{len(self.csrc)}I", *self.csrc))
            if self.extension is not None:
                parts.append(print_extension(self.extension))
        except struct.error as error:
            raise ValueError(f"a field of the RTP header is out of range: {error}") from error
        parts.append(self.payload)
        if self.padding:
            parts.append(bytes(self.padding - 1) + bytes((self.padding,)))
        return b"".join(parts)


def parse_extension(data: bytes, at: int) -> tuple[HeaderExtension, int]:
    """Return the header extension at `at` and the offset of its end.  Raises MalformedPacket."""
    if at + 4 > len(data):
        raise MalformedPacket("the header extension is cut off")
    profile, words = struct.unpack_from("!HH", data, at)
    end = at + 4 + 4 * words
    if end > len(data):
        raise MalformedPacket("the header extension runs beyond the packet")
    return HeaderExtension(profile, bytes(data[at + 4 : end])), end


def print_extension(extension: HeaderExtension) -> bytes:
    """The extension as on the wire.  Raises ValueError unless `data` is whole 32-bit words."""
    if len(extension.data) % 4:
        raise ValueError("a header extension is a whole number of 32-bit words")
    return struct.pack("!HH", extension.profile, len(extension.data) // 4) + extension.data


def padding_length(data: bytes, at: int) -> int:
    """The number of padding octets, from the last octet: 1 or more.  Raises MalformedPacket."""
    count = data[-1]
    if count == 0 or at + count > len(data):
        raise MalformedPacket(f"{count} octets of padding do not fit into the packet")
    return count
