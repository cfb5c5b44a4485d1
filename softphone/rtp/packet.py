"""RTP data packets and their header extensions, one at a time (RFC 3550 section 5, RFC 8285).

Lengths are checked before anything behind them is trusted.  Batches of packets are read and
written by `softphone.media.tick.rtp_headers`; this is for the scalar path, the lab and tests.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

__all__ = [
    "HEADER_LENGTH",
    "VERSION",
    "ExtensionElement",
    "HeaderExtension",
    "MalformedPacket",
    "RtpPacket",
    "is_rtcp",
]

VERSION = 2
HEADER_LENGTH = 12
"""Octets of the fixed header (RFC 3550 section 5.1)."""

ONE_BYTE_PROFILE = 0xBEDE
TWO_BYTE_PROFILE = 0x1000
"""RFC 8285 section 4.3: the upper twelve bits; the lower four are the application's."""

FIXED = struct.Struct("!BBHII")
RTCP_PACKET_TYPES = range(192, 224)


class MalformedPacket(ValueError):
    """The octets are not what they claim to be; the text says why."""


def is_rtcp(data: bytes) -> bool:
    """Whether a datagram on a port shared by RTP and RTCP is RTCP (RFC 5761 section 4)."""
    return len(data) >= 8 and data[0] >> 6 == VERSION and data[1] in RTCP_PACKET_TYPES


@dataclass(frozen=True, slots=True)
class ExtensionElement:
    """One element of an RFC 8285 header extension; `identifier` is that of `a=extmap`."""

    identifier: int
    data: bytes


@dataclass(frozen=True, slots=True)
class HeaderExtension:
    """A header extension: the 16 bits that RFC 3550 leaves to the profile, and the words."""

    profile: int
    data: bytes

    @classmethod
    def from_elements(
        cls, elements: tuple[ExtensionElement, ...], *, two_byte: bool = False
    ) -> HeaderExtension:
        """Pack elements, with one-byte headers where they allow it (RFC 8285 sections 4.2, 4.3).

        Raises ValueError for an identifier or a length that neither form can carry.
        """
        for element in elements:
            if not 1 <= element.identifier <= 255 or len(element.data) > 255:
                raise ValueError(
                    "an extension element has identifier 1 to 255 and at most 255 octets"
                )
        two_byte = two_byte or any(
            element.identifier > 14 or not 1 <= len(element.data) <= 16 for element in elements
        )
        octets = bytearray()
        for element in elements:
            size = len(element.data)
            if two_byte:
                octets += bytes((element.identifier, size))
            else:
                octets.append(element.identifier << 4 | (size - 1))
            octets += element.data
        octets += bytes(-len(octets) % 4)
        return cls(TWO_BYTE_PROFILE if two_byte else ONE_BYTE_PROFILE, bytes(octets))

    def elements(self) -> tuple[ExtensionElement, ...]:
        """Unpack the elements; an extension of another profile has none.

        Raises MalformedPacket when an element runs beyond the extension.
        """
        if self.profile == ONE_BYTE_PROFILE:
            return self._one_byte()
        if self.profile & 0xFFF0 == TWO_BYTE_PROFILE:
            return self._two_byte()
        return ()

    def _one_byte(self) -> tuple[ExtensionElement, ...]:
        found = []
        at = 0
        while at < len(self.data):
            identifier, size = self.data[at] >> 4, (self.data[at] & 0x0F) + 1
            at += 1
            if identifier == 0:
                # RFC 8285 4.2: padding is a zero octet; an identifier 0 with a length ends it too.
                if size > 1:
                    break
                continue
            if identifier == 15:
                break
            found.append(self._element(identifier, at, size))
            at += size
        return tuple(found)

    def _two_byte(self) -> tuple[ExtensionElement, ...]:
        found = []
        at = 0
        while at < len(self.data):
            identifier = self.data[at]
            at += 1
            if identifier == 0:
                continue
            if at == len(self.data):
                raise MalformedPacket("a header extension element has no length")
            size = self.data[at]
            at += 1
            found.append(self._element(identifier, at, size))
            at += size
        return tuple(found)

    def _element(self, identifier: int, at: int, size: int) -> ExtensionElement:
        if at + size > len(self.data):
            raise MalformedPacket("a header extension element runs beyond the extension")
        return ExtensionElement(identifier, self.data[at : at + size])


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

        Raises MalformedPacket for another version, or a CSRC list, extension or padding that the
        octets do not hold.
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
    """The header extension at `at` and where the payload begins.  Raises MalformedPacket."""
    if at + 4 > len(data):
        raise MalformedPacket("the header extension is cut off")
    profile, words = struct.unpack_from("!HH", data, at)
    end = at + 4 + 4 * words
    if end > len(data):
        raise MalformedPacket("the header extension runs beyond the packet")
    return HeaderExtension(profile, bytes(data[at + 4 : end])), end


def print_extension(extension: HeaderExtension) -> bytes:
    """The extension as on the wire.  Raises ValueError unless it is whole words."""
    if len(extension.data) % 4:
        raise ValueError("a header extension is a whole number of 32-bit words")
    return struct.pack("!HH", extension.profile, len(extension.data) // 4) + extension.data


def padding_length(data: bytes, at: int) -> int:
    """How many octets of padding end the packet, at least one.  Raises MalformedPacket."""
    count = data[-1]
    if count == 0 or at + count > len(data):
        raise MalformedPacket(f"{count} octets of padding do not fit into the packet")
    return count
