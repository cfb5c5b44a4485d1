"""The pcapng file format, as far as a capture needs it (draft-ietf-opsawg-pcapng).

Encodes blocks as bytes: section header, interface descriptions and enhanced packets.  Also encodes
the two kinds of packet data: a payload in UDP and IP, and a message for a named dissector
(Wireshark's "exported PDU").  Opens no file.
"""

from __future__ import annotations

import ipaddress
import struct
from enum import IntEnum

from softphone.sans_io import Address, Transport

_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 0x00000001, 0x00000006
_BYTE_ORDER = 0x1A2B3C4D
_END, _COMMENT, _NAME, _USER_APPLICATION = 0, 1, 2, 4

# The tags of an exported PDU (Wireshark's exported_pdu_tags).
_TAG_DISSECTOR = 12
_TAG_IPV4_SOURCE, _TAG_IPV4_DESTINATION = 20, 21
_TAG_IPV6_SOURCE, _TAG_IPV6_DESTINATION = 22, 23
_TAG_PORT_TYPE, _TAG_SOURCE_PORT, _TAG_DESTINATION_PORT = 24, 25, 26
_PORT_TYPE_TCP, _PORT_TYPE_UDP = 2, 3

_UDP = 17
_HOPS = 64


class LinkType(IntEnum):
    """The link type of an interface (the tcpdump project's list)."""

    RAW_IP = 101
    EXPORTED_MESSAGE = 252


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _block(kind: int, body: bytes) -> bytes:
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + length + body + length


def section_header_block(application: str) -> bytes:
    """Encode the block that a file begins with; its section length is unspecified."""
    options = _option(_USER_APPLICATION, application.encode()) + _option(_END, b"")
    return _block(_SECTION, struct.pack("<IHHq", _BYTE_ORDER, 1, 0, -1) + options)


def interface_block(link: LinkType, name: str) -> bytes:
    """Encode the description of an interface; times in microseconds, no limit on lengths."""
    options = _option(_NAME, name.encode()) + _option(_END, b"")
    return _block(_INTERFACE, struct.pack("<HHI", link, 0, 0) + options)


def enhanced_packet_block(number: int, data: bytes, *, at: float, comment: str = "") -> bytes:
    """Encode one packet of interface `number`; `at` is in seconds since 1970."""
    microseconds = round(at * 1e6)
    head = struct.pack(
        "<IIIII", number, microseconds >> 32, microseconds & 0xFFFFFFFF, len(data), len(data)
    )
    options = _option(_COMMENT, comment.encode()) + _option(_END, b"") if comment else b""
    return _block(_PACKET, head + _padded(data) + options)


def _tag(code: int, value: bytes) -> bytes:
    return struct.pack(">HH", code, len(_padded(value))) + _padded(value)


def exported_message(
    dissector: str, data: bytes, *, transport: Transport, source: Address, destination: Address
) -> bytes:
    """Encode `data` for the named dissector, with its source and destination.

    Raises ValueError for an address that is not an IP address.
    """
    ends = [ipaddress.ip_address(host.partition("%")[0]) for host, _ in (source, destination)]
    six = any(end.version == 6 for end in ends)
    codes = (
        (_TAG_IPV6_SOURCE, _TAG_IPV6_DESTINATION)
        if six
        else (_TAG_IPV4_SOURCE, _TAG_IPV4_DESTINATION)
    )
    ports = _PORT_TYPE_UDP if transport is Transport.UDP else _PORT_TYPE_TCP
    tags = _tag(_TAG_DISSECTOR, dissector.encode())
    for code, end in zip(codes, ends, strict=True):
        tags += _tag(code, _as_six(end) if six else end.packed)
    for code, number in (
        (_TAG_PORT_TYPE, ports),
        (_TAG_SOURCE_PORT, source[1]),
        (_TAG_DESTINATION_PORT, destination[1]),
    ):
        tags += _tag(code, struct.pack(">I", number))
    return tags + struct.pack(">HH", 0, 0) + data


def _as_six(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bytes:
    if address.version == 6:
        return address.packed
    return ipaddress.IPv6Address(f"::ffff:{address}").packed


def udp_frame(data: bytes, *, source: Address, destination: Address) -> bytes:
    """Encode `data` in UDP and IP, with checksums.  Raises ValueError for a non-IP address."""
    ends = [ipaddress.ip_address(host.partition("%")[0]) for host, _ in (source, destination)]
    six = any(end.version == 6 for end in ends)
    packed = [_as_six(end) if six else end.packed for end in ends]
    length = 8 + len(data)
    ports = struct.pack(">HHHH", source[1], destination[1], length, 0)
    pseudo = b"".join(packed) + struct.pack(">IHH" if six else ">HBB", *_pseudo(six, length))
    if not six:
        pseudo += struct.pack(">H", length)
    check = _checksum(pseudo + ports + data) or 0xFFFF
    datagram = ports[:6] + struct.pack(">H", check) + data
    if six:
        return struct.pack(">IHBB", 6 << 28, length, _UDP, _HOPS) + b"".join(packed) + datagram
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + length, 0, 0, _HOPS, _UDP, 0) + b"".join(packed)
    return head[:10] + struct.pack(">H", _checksum(head)) + head[12:] + datagram


def _pseudo(six: bool, length: int) -> tuple[int, int, int]:
    """The fields of the pseudo-header that UDP's checksum covers (RFC 768, RFC 8200 8.1)."""
    return (length, 0, _UDP) if six else (0, 0, _UDP)


def _checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    even = data + bytes(len(data) % 2)
    words: tuple[int, ...] = struct.unpack(f">{len(even) // 2}H", even)
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
