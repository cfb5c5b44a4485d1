"""Reads the RTP packets of a capture (libpcap's format) of bounded size."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from softphone.errors import ConfigurationError
from softphone.operating_system import open_to_read

MOST_OCTETS = 64 * 1024 * 1024
_FRACTIONS = {0xA1B2C3D4: 1e-6, 0xA1B23C4D: 1e-9}
"""Magic numbers of files, with what a fraction of a second is counted in."""
_PCAPNG = 0x0A0D0D0A
_LINKS = {0: 4, 1: 14, 101: 0, 113: 16, 228: 0, 229: 0}
"""Octets before the IP packet by type of link: loopback, Ethernet, raw IP, Linux's own."""
_VLAN = b"\x81\x00"
_UDP = 17


@dataclass(frozen=True, slots=True)
class PacketFile:
    """RTP packets, each with its seconds since the first."""

    name: str
    packets: tuple[tuple[float, bytes], ...] = field(repr=False)


def read_packets(path: Path) -> PacketFile:
    """Read the RTP packets of a file.

    Raises ConfigurationError for a file that is unreadable, over 64 MiB, pcapng or no capture at
    all, of an unknown type of link, or without RTP.
    """
    try:
        with open_to_read(path) as file:
            data = file.read(MOST_OCTETS + 1)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror or error}") from error
    if len(data) > MOST_OCTETS:
        raise ConfigurationError(f"{path}: too large for a capture")
    if len(data) < 24:
        raise ConfigurationError(f"{path}: this is no capture (pcap)")
    order = next((each for each in "<>" if _magic(data, each) in _FRACTIONS), "")
    if not order:
        other = "pcapng is not read; editcap -F pcap turns it into pcap"
        what = other if _magic(data, "<") == _PCAPNG else "this is no capture (pcap)"
        raise ConfigurationError(f"{path}: {what}")
    link = struct.unpack_from(f"{order}I", data, 20)[0] & 0xFFFF
    if link not in _LINKS:
        raise ConfigurationError(f"{path}: its type of link, {link}, is not read")
    unit = _FRACTIONS[_magic(data, order)]
    found = [
        (at, packet) for at, frame in _frames(data, order, unit) if (packet := _rtp(frame, link))
    ]
    if not found:
        raise ConfigurationError(f"{path}: there is no RTP in it")
    first = found[0][0]
    return PacketFile(path.name, tuple((max(0.0, at - first), packet) for at, packet in found))


def _magic(data: bytes, order: str) -> int:
    number: int = struct.unpack_from(f"{order}I", data)[0]
    return number


def _frames(data: bytes, order: str, unit: float) -> Iterator[tuple[float, bytes]]:
    """Each frame with its time; a truncated one ends the file."""
    head = struct.Struct(f"{order}IIII")
    at = 24
    while at + head.size <= len(data):
        seconds, fraction, length, _ = head.unpack_from(data, at)
        at += head.size
        if at + length > len(data):
            return
        yield seconds + fraction * unit, data[at : at + length]
        at += length


def _rtp(frame: bytes, link: int) -> bytes:
    """The RTP packet of a frame, b"" for anything else."""
    start = _LINKS[link]
    if link == 1 and frame[12:14] == _VLAN:
        start += 4
    packet = frame[start:]
    if len(packet) < 28:
        return b""
    if packet[0] >> 4 == 4:
        size, fragment = (packet[0] & 15) * 4, struct.unpack_from("!H", packet, 6)[0] & 0x3FFF
        if packet[9] != _UDP or fragment:
            return b""
    elif packet[0] >> 4 == 6 and packet[6] == _UDP:
        size = 40
    else:
        return b""
    if len(packet) < size + 8:
        return b""
    payload = packet[size + 8 : size + struct.unpack_from("!H", packet, size + 4)[0]]
    # RTCP has the packet types 192 to 223 there (RFC 5761 section 4).
    return (
        payload
        if len(payload) >= 12 and payload[0] >> 6 == 2 and not 192 <= payload[1] <= 223
        else b""
    )
