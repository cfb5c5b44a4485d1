"""Parses and prints RTCP packets and compound packets (RFC 3550 section 6).

SR, RR, SDES, BYE and APP are here; extended reports (RFC 3611) are in `softphone.rtp.rtcp_xr`,
feedback (RFC 4585, RFC 5104) in `softphone.rtp.rtcp_feedback`.  `softphone.rtp.rtcp_session`
decides when to send.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from softphone.fast_dataclass import fast_init
from softphone.rtp.packet import VERSION, MalformedPacket
from softphone.rtp.rtcp_feedback import (
    FullIntraRequest,
    Nack,
    PictureLossIndication,
    TemporaryBitrateNotification,
    TemporaryBitrateRequest,
    parse_feedback,
    print_feedback,
)
from softphone.rtp.rtcp_xr import (
    XR,
    DelaySinceLastReceiverReport,
    ExtendedBlock,
    ReceiverReferenceTime,
    VoipMetrics,
    parse_extended_report,
    print_extended_report,
)

SR, RR, SDES, BYE, APP = 200, 201, 202, 203, 204
CNAME_ITEM = 1
NTP_EPOCH = 2_208_988_800
"""Seconds from 1900 to 1970 (RFC 5905 figure 4)."""
MOST_BLOCKS = 31
MOST_PACKETS = 16
"""The most RTCP packets in one compound packet; two participants need five."""
MOST_ITEMS = 16
"""The most items of one source description; RFC 3550 section 6.5 defines eight types."""

HEADER = struct.Struct("!BBH")
SENDER = struct.Struct("!IQIII")
BLOCK = struct.Struct("!IIIIII")
WORD = struct.Struct("!I")


@fast_init
@dataclass(frozen=True, slots=True)
class ReportBlock:
    """A receiver's report about one source (RFC 3550 section 6.4.1).

    `fraction_lost` is in 1/256 (0 to 255).  `last_sr` is the middle 32 bits of the NTP time in the
    source's last SR, `delay_since_last_sr` the time since that SR in 1/65536 s; both are 0 when no
    SR was received.
    """

    ssrc: int
    fraction_lost: int
    cumulative_lost: int
    highest_sequence: int
    jitter: int
    last_sr: int = 0
    delay_since_last_sr: int = 0


@fast_init
@dataclass(frozen=True, slots=True)
class SenderReport:
    """SR (RFC 3550 section 6.4.1); `ntp` is the 64-bit NTP time."""

    ssrc: int
    ntp: int
    rtp_timestamp: int
    packet_count: int
    octet_count: int
    reports: tuple[ReportBlock, ...] = ()


@fast_init
@dataclass(frozen=True, slots=True)
class ReceiverReport:
    """RR (RFC 3550 section 6.4.2)."""

    ssrc: int
    reports: tuple[ReportBlock, ...] = ()


@fast_init
@dataclass(frozen=True, slots=True)
class SourceDescription:
    """SDES of one source (RFC 3550 section 6.5); items other than CNAME are (type, text) pairs."""

    ssrc: int
    cname: str
    items: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class RtcpBye:
    """BYE (RFC 3550 section 6.6)."""

    ssrcs: tuple[int, ...]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RtcpApp:
    """APP (RFC 3550 section 6.7); `name` is four octets, `data` whole words."""

    ssrc: int
    subtype: int
    name: bytes
    data: bytes = b""


RtcpPacket: TypeAlias = (
    SenderReport
    | ReceiverReport
    | SourceDescription
    | RtcpBye
    | RtcpApp
    | PictureLossIndication
    | FullIntraRequest
    | Nack
    | TemporaryBitrateRequest
    | TemporaryBitrateNotification
    | VoipMetrics
    | ReceiverReferenceTime
    | DelaySinceLastReceiverReport
)


# Reading ----------------------------------------------------------------------------------------


def parse_compound(data: bytes, *, reduced_size: bool = False) -> tuple[RtcpPacket, ...]:
    """Parse a compound packet; skip packets of unknown types.

    The checks are those of RFC 3550 A.2: version, SR or RR first (not with `reduced_size`, RFC
    5506), padding in the last packet only, lengths that add up.  More than `MOST_PACKETS` packets
    are malformed: this bounds the cost of a datagram.  Raises MalformedPacket.
    """
    size = len(data)
    if size < 8:
        raise MalformedPacket(f"{size} octets are too few for RTCP")
    if not reduced_size and data[1] not in (SR, RR):
        raise MalformedPacket("a compound packet begins with SR or RR")
    found: list[RtcpPacket] = []
    at = seen = 0
    while at < size:
        seen += 1
        if seen > MOST_PACKETS:
            raise MalformedPacket(f"a compound packet holds more than {MOST_PACKETS} packets")
        if at + HEADER.size > size:
            raise MalformedPacket("an RTCP header is cut off")
        first, kind, words = HEADER.unpack_from(data, at)
        end = at + 4 * (words + 1)
        if first >> 6 != VERSION:
            raise MalformedPacket(f"RTCP version {first >> 6} is not {VERSION}")
        if end > size:
            raise MalformedPacket("an RTCP packet runs beyond the datagram")
        body = bytes(data[at + HEADER.size : end])
        if first & 0x20:
            body = strip_padding(body, last=end == size)
        found += parse_body(kind, first & 0x1F, body)
        at = end
    return tuple(found)


def strip_padding(body: bytes, *, last: bool) -> bytes:
    """The packet's body without its padding.  Raises MalformedPacket."""
    if not last:
        raise MalformedPacket("only the last packet of a compound may be padded")
    if not body or body[-1] == 0 or body[-1] % 4 or body[-1] > len(body):
        raise MalformedPacket("the RTCP padding does not fit into the packet")
    return body[: len(body) - body[-1]]


def parse_body(kind: int, count: int, body: bytes) -> Sequence[RtcpPacket]:
    """The packets in one RTCP packet of type `kind`.  Raises MalformedPacket."""
    try:
        match kind:
            case 200:
                ssrc, ntp, timestamp, packets, octets = SENDER.unpack_from(body)
                blocks = parse_blocks(count, body, SENDER.size)
                return (SenderReport(ssrc, ntp, timestamp, packets, octets, blocks),)
            case 201:
                (ssrc,) = WORD.unpack_from(body)
                return (ReceiverReport(ssrc, parse_blocks(count, body, WORD.size)),)
            case 202:
                return parse_source_descriptions(count, body)
            case 203:
                return (parse_bye(count, body),)
            case 204:
                ssrc, name = struct.unpack_from("!I4s", body)
                return (RtcpApp(ssrc, count, name, body[8:]),)
            case 205 | 206:
                feedback = parse_feedback(kind, count, body)
                return () if feedback is None else (feedback,)
            case 207:
                return parse_extended_report(body)
    except struct.error as error:
        raise MalformedPacket(f"an RTCP packet of type {kind} is too short") from error
    return ()


def parse_blocks(count: int, body: bytes, at: int) -> tuple[ReportBlock, ...]:
    """Read `count` report blocks.  Raises MalformedPacket when `body` holds fewer."""
    if at + count * BLOCK.size > len(body):
        raise MalformedPacket(f"{count} report blocks do not fit into the report")
    blocks: tuple[ReportBlock, ...] = ()
    for begin in range(at, at + count * BLOCK.size, BLOCK.size):
        ssrc, loss, highest, jitter, last_sr, delay = BLOCK.unpack_from(body, begin)
        lost = (loss + 0x800000 & 0xFFFFFF) - 0x800000
        blocks += (ReportBlock(ssrc, loss >> 24, lost, highest, jitter, last_sr, delay),)
    return blocks


def parse_source_descriptions(count: int, body: bytes) -> list[SourceDescription]:
    """Read the chunks of an SDES packet.  Raises MalformedPacket and struct.error."""
    chunks = []
    at, size = 0, len(body)
    for _ in range(count):
        (ssrc,) = WORD.unpack_from(body, at)
        at += WORD.size
        cname = ""
        items = []
        seen = 0
        while at < size and body[at]:
            seen += 1
            if seen > MOST_ITEMS:
                raise MalformedPacket(f"an SDES chunk has more than {MOST_ITEMS} items")
            kind = body[at]
            text, at = parse_text(body, at + 1)
            if kind == CNAME_ITEM:
                cname = text
            else:
                items.append((kind, text))
        if at >= size:
            raise MalformedPacket("an SDES chunk has no end")
        # The list ends with a zero octet and zeros up to the next word.
        at = (at // 4 + 1) * 4
        chunks.append(SourceDescription(ssrc, cname, tuple(items)))
    return chunks


def parse_text(body: bytes, at: int) -> tuple[str, int]:
    """Return the text whose length octet is at `at`, and its end.  Raises MalformedPacket."""
    if at >= len(body) or at + 1 + body[at] > len(body):
        raise MalformedPacket("a text runs beyond its RTCP packet")
    end = at + 1 + body[at]
    return body[at + 1 : end].decode("utf-8", "replace"), end


def parse_bye(count: int, body: bytes) -> RtcpBye:
    """Read the body of a BYE.  Raises MalformedPacket and struct.error."""
    ssrcs = struct.unpack_from(f"!{count}I", body)
    reason = parse_text(body, 4 * count)[0] if len(body) > 4 * count else ""
    return RtcpBye(ssrcs, reason)


# Writing ----------------------------------------------------------------------------------------


def print_compound(packets: tuple[RtcpPacket, ...], *, reduced_size: bool = False) -> bytes:
    """Print packets as one datagram; consecutive XR blocks of one sender become one XR packet.

    Raises ValueError for a field that does not fit, and unless an SR or RR comes first (not with
    `reduced_size`, RFC 5506).
    """
    if not packets or not (reduced_size or isinstance(packets[0], SenderReport | ReceiverReport)):
        raise ValueError("a compound packet begins with SR or RR")
    printed: list[bytes] = []
    blocks: list[ExtendedBlock] = []
    try:
        for packet in (*packets, None):
            block = packet if isinstance(packet, ExtendedBlock) else None
            if blocks and (block is None or block.sender_ssrc != blocks[0].sender_ssrc):
                printed.append(with_header(XR, 0, print_extended_report(blocks)))
                blocks = []
            if block is not None:
                blocks.append(block)
            elif packet is not None:
                printed.append(print_packet(packet))
        return b"".join(printed)
    except struct.error as error:
        raise ValueError(f"a field of an RTCP packet is out of range: {error}") from error


def print_packet(packet: RtcpPacket) -> bytes:
    """One packet with its header.  Raises ValueError and struct.error."""
    match packet:
        case SenderReport(ssrc, ntp, rtp_timestamp, packet_count, octet_count, reports):
            body = print_sender(ssrc, ntp, rtp_timestamp, packet_count, octet_count)
            return with_header(SR, len(reports), body + print_blocks(reports))
        case ReceiverReport(ssrc, reports):
            return with_header(RR, len(reports), WORD.pack(ssrc) + print_blocks(reports))
        case SourceDescription():
            return with_header(SDES, 1, print_source_description(packet))
        case RtcpBye(ssrcs, reason):
            body = struct.pack(f"!{len(ssrcs)}I", *ssrcs)
            return with_header(
                BYE, len(ssrcs), padded(body + print_text(reason) if reason else body)
            )
        case RtcpApp(ssrc, subtype, name, data):
            if len(name) != 4 or len(data) % 4:
                raise ValueError("an APP packet has a name of 4 octets and whole words of data")
            return with_header(APP, subtype, WORD.pack(ssrc) + name + data)
        case VoipMetrics() | ReceiverReferenceTime() | DelaySinceLastReceiverReport():
            return with_header(XR, 0, print_extended_report([packet]))
        case _:
            return with_header(*print_feedback(packet))


def with_header(kind: int, count: int, body: bytes) -> bytes:
    """Put the RTCP header before a body.  Raises ValueError for too many entries."""
    if not 0 <= count <= MOST_BLOCKS:
        raise ValueError(f"an RTCP packet has at most {MOST_BLOCKS} entries, not {count}")
    return HEADER.pack(VERSION << 6 | count, kind, len(body) // 4) + body


def padded(body: bytes) -> bytes:
    """Pad the body with zeros to whole 32-bit words."""
    return body + bytes(-len(body) % 4)


def print_sender(ssrc: int, ntp: int, rtp_timestamp: int, packets: int, octets: int) -> bytes:
    """The sender information of an SR, whose counts wrap.  Raises struct.error."""
    return SENDER.pack(ssrc, ntp, rtp_timestamp, packets & 0xFFFFFFFF, octets & 0xFFFFFFFF)


def print_blocks(blocks: tuple[ReportBlock, ...]) -> bytes:
    """Report blocks.  Raises struct.error."""
    return b"".join([print_block(b, b.last_sr, b.delay_since_last_sr) for b in blocks])


def print_block(block: ReportBlock, last_sr: int, delay_since_last_sr: int) -> bytes:
    """A report block with its last two fields as given.  Raises struct.error."""
    return BLOCK.pack(
        block.ssrc,
        block.fraction_lost << 24 | block.cumulative_lost & 0xFFFFFF,
        block.highest_sequence,
        block.jitter,
        last_sr,
        delay_since_last_sr,
    )


def print_source_description(chunk: SourceDescription) -> bytes:
    """An SDES chunk: its items, and one to four zeros.  Raises ValueError."""
    items = ((CNAME_ITEM, chunk.cname), *chunk.items)
    body = WORD.pack(chunk.ssrc)
    for kind, text in items:
        body += bytes((kind,)) + print_text(text)
    return padded(body + b"\0")


def print_text(text: str) -> bytes:
    """A text after its length octet.  Raises ValueError above 255 octets."""
    octets = text.encode()
    if len(octets) > 255:
        raise ValueError("an RTCP text has at most 255 octets")
    return bytes((len(octets),)) + octets


# Time -------------------------------------------------------------------------------------------


def ntp_from_wall(wall: float) -> int:
    """The 64-bit NTP time of `wall`, seconds since 1970 (RFC 3550 section 4)."""
    return round((wall + NTP_EPOCH) * (1 << 32)) & 0xFFFFFFFFFFFFFFFF


def wall_from_ntp(ntp: int) -> float:
    """Seconds since 1970 of a 64-bit NTP time."""
    return ntp / (1 << 32) - NTP_EPOCH


def round_trip_time(
    block: ReportBlock | DelaySinceLastReceiverReport, *, wall: float
) -> float | None:
    """The round-trip time in seconds, from a report about us that arrived at `wall`.

    None without LSR or LRR, and for an implausible result (RFC 3550 section 6.4.1, RFC 3611
    section 4.5).
    """
    if isinstance(block, ReportBlock):
        last, delay = block.last_sr, block.delay_since_last_sr
    else:
        last, delay = block.last_rr, block.delay_since_last_rr
    if not last:
        return None
    arrival = ntp_from_wall(wall) >> 16 & 0xFFFFFFFF
    trip = (arrival - last - delay) & 0xFFFFFFFF
    # The two clocks are not read at one instant: the result may be slightly negative.
    if trip & 0x80000000:
        return 0.0 if trip > 0xFFFFFFFF - 655 else None
    return trip / 65536.0
