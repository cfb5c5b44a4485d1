"""Parses and prints RTCP feedback: NACK, PLI (RFC 4585), FIR, TMMBR and TMMBN (RFC 5104).

This module has the bodies only; headers and compound packets are in `softphone.rtp.rtcp_packet`.
`softphone.media.video` decides what to send and when.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TypeAlias

__all__ = [
    "PSFB",
    "RTPFB",
    "BitrateLimit",
    "FullIntraRequest",
    "Nack",
    "PictureLossIndication",
    "RtcpFeedback",
    "TemporaryBitrateNotification",
    "TemporaryBitrateRequest",
    "parse_feedback",
    "print_feedback",
]

RTPFB, PSFB = 205, 206
NACK_FORMAT, TMMBR_FORMAT, TMMBN_FORMAT = 1, 3, 4
PLI_FORMAT, FIR_FORMAT = 1, 4
MOST_PAIRS = 32
"""The most NACK pairs read of one packet: 544 lost packets, more than any sender resends."""
MOST_ENTRIES = 32
"""The most entries read of one FIR, TMMBR or TMMBN; there is one for each source."""
MANTISSA_BITS, OVERHEAD_BITS = 17, 9
LARGEST_EXPONENT = 63


@dataclass(frozen=True, slots=True)
class PictureLossIndication:
    """PLI (RFC 4585 section 6.3.1)."""

    sender_ssrc: int
    media_ssrc: int


@dataclass(frozen=True, slots=True)
class FullIntraRequest:
    """FIR (RFC 5104 section 4.3.1): (SSRC, command sequence number) pairs."""

    sender_ssrc: int
    entries: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Nack:
    """Generic NACK (RFC 4585 section 6.2.1): the lost sequence numbers, in order."""

    sender_ssrc: int
    media_ssrc: int
    lost: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class BitrateLimit:
    """The maximum bit rate of a source in bits/s, with `overhead` octets of headers a packet."""

    ssrc: int
    bitrate: int
    overhead: int = 40


@dataclass(frozen=True, slots=True)
class TemporaryBitrateRequest:
    """TMMBR (RFC 5104 section 4.2.1): the limits asked of sources."""

    sender_ssrc: int
    entries: tuple[BitrateLimit, ...]


@dataclass(frozen=True, slots=True)
class TemporaryBitrateNotification:
    """TMMBN (RFC 5104 section 4.2.2): the limits in force, each with the SSRC that asked for it."""

    sender_ssrc: int
    entries: tuple[BitrateLimit, ...]


RtcpFeedback: TypeAlias = (
    PictureLossIndication
    | FullIntraRequest
    | Nack
    | TemporaryBitrateRequest
    | TemporaryBitrateNotification
)


def parse_feedback(kind: int, form: int, body: bytes) -> RtcpFeedback | None:
    """Parse feedback (RFC 4585 section 6.1); None for an unknown FMT.  Raises struct.error."""
    sender, media = struct.unpack_from("!II", body)
    match kind, form:
        case 205, 1:
            whole = body[8 : len(body) - len(body) % 4][: 4 * MOST_PAIRS]
            return Nack(sender, media, lost_numbers(whole))
        case 205, 3:
            return TemporaryBitrateRequest(sender, _limits(body))
        case 205, 4:
            return TemporaryBitrateNotification(sender, _limits(body))
        case 206, 1:
            return PictureLossIndication(sender, media)
        case 206, 4:
            entries = struct.iter_unpack("!IB3x", _entries(body))
            return FullIntraRequest(sender, tuple((ssrc, number) for ssrc, number in entries))
    return None


def _entries(body: bytes) -> bytes:
    """Return the entries of 8 octets after both SSRCs, at most `MOST_ENTRIES`."""
    return body[8 : len(body) - len(body) % 8][: 8 * MOST_ENTRIES]


def _limits(body: bytes) -> tuple[BitrateLimit, ...]:
    """The entries of TMMBR and TMMBN (RFC 5104 section 4.2.1.1)."""
    return tuple(
        BitrateLimit(ssrc, _mantissa(word) << (word >> 26), word & ((1 << OVERHEAD_BITS) - 1))
        for ssrc, word in struct.iter_unpack("!II", _entries(body))
    )


def _mantissa(word: int) -> int:
    return word >> OVERHEAD_BITS & ((1 << MANTISSA_BITS) - 1)


def lost_numbers(pairs: bytes) -> tuple[int, ...]:
    """The sequence numbers of (PID, BLP) pairs (RFC 4585 section 6.2.1)."""
    return tuple(
        (packet + offset) & 0xFFFF
        for packet, mask in struct.iter_unpack("!HH", pairs)
        for offset in (0, *(bit + 1 for bit in range(16) if mask >> bit & 1))
    )


def print_feedback(packet: RtcpFeedback) -> tuple[int, int, bytes]:
    """Packet type, form and body of feedback.

    Raises ValueError for a bit rate that does not fit, and struct.error for other fields.
    """
    match packet:
        case PictureLossIndication(sender, media):
            return PSFB, PLI_FORMAT, struct.pack("!II", sender, media)
        case FullIntraRequest(sender, entries):
            commands = b"".join(struct.pack("!IB3x", *entry) for entry in entries)
            return PSFB, FIR_FORMAT, struct.pack("!II", sender, 0) + commands
        case Nack(sender, media, lost):
            pairs = b"".join(struct.pack("!HH", *pair) for pair in nack_pairs(lost))
            return RTPFB, NACK_FORMAT, struct.pack("!II", sender, media) + pairs
        case TemporaryBitrateRequest(sender, limits):
            form = TMMBR_FORMAT
        case TemporaryBitrateNotification(sender, limits):
            form = TMMBN_FORMAT
    return RTPFB, form, struct.pack("!II", sender, 0) + b"".join(map(_print_limit, limits))


def _print_limit(limit: BitrateLimit) -> bytes:
    """Print one entry; its bit rate is rounded down to a 17-bit mantissa with an exponent."""
    exponent = max(0, limit.bitrate.bit_length() - MANTISSA_BITS)
    if limit.bitrate < 0 or exponent > LARGEST_EXPONENT or not 0 <= limit.overhead < 512:
        raise ValueError(f"a bit rate of {limit.bitrate} does not fit into TMMBR")
    word = exponent << 26 | limit.bitrate >> exponent << OVERHEAD_BITS | limit.overhead
    return struct.pack("!II", limit.ssrc, word)


def nack_pairs(lost: tuple[int, ...]) -> list[tuple[int, int]]:
    """(PID, BLP) pairs of lost sequence numbers in order (RFC 4585 section 6.2.1)."""
    pairs: list[tuple[int, int]] = []
    for number in lost:
        offset = (number - pairs[-1][0]) & 0xFFFF if pairs else 0
        if pairs and 1 <= offset <= 16:
            pairs[-1] = (pairs[-1][0], pairs[-1][1] | 1 << (offset - 1))
        else:
            pairs.append((number, 0))
    return pairs
