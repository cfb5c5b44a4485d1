"""RTCP extended reports (RFC 3611): parses and prints three types of report blocks.

VoIP metrics (section 4.7), receiver reference time (4.4) and DLRR (4.5); the last two give a
participant that sends no media its round-trip time.  Other blocks are skipped.  This module has
the bodies only; headers and compound packets are in `softphone.rtp.rtcp_packet`.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TypeAlias

from softphone.fast_dataclass import fast_init
from softphone.rtp.packet import MalformedPacket

XR = 207
REFERENCE_TIME_BLOCK, DLRR_BLOCK, VOIP_METRICS_BLOCK = 4, 5, 7
MOST_ENTRIES = 32
"""The most sub-blocks read of one DLRR block; there is one for each receiver."""

HEADER = struct.Struct("!BBH")
METRICS = struct.Struct("!IBBBBHHHHbbBBBBBBBxHHH")
TIME = struct.Struct("!Q")
ENTRY = struct.Struct("!III")
WORD = struct.Struct("!I")


@fast_init
@dataclass(frozen=True, slots=True)
class VoipMetrics:
    """Block 7 (RFC 3611 section 4.7), fields as on the wire; 127 is "unavailable"."""

    sender_ssrc: int
    ssrc: int
    loss_rate: int
    discard_rate: int
    burst_density: int = 0
    gap_density: int = 0
    burst_duration_ms: int = 0
    gap_duration_ms: int = 0
    round_trip_delay_ms: int = 0
    end_system_delay_ms: int = 0
    signal_level_dbm: int = 127
    noise_level_dbm: int = 127
    residual_echo_return_loss_db: int = 127
    gap_threshold: int = 16
    r_factor: int = 127
    external_r_factor: int = 127
    mos_listening: int = 127
    mos_conversational: int = 127
    receiver_configuration: int = 0
    jitter_buffer_nominal_ms: int = 0
    jitter_buffer_maximum_ms: int = 0
    jitter_buffer_absolute_maximum_ms: int = 0


METRICS_FIELDS = attrgetter(*VoipMetrics.__slots__[1:])
"""Gives the fields of `METRICS` as a tuple."""


@dataclass(frozen=True, slots=True)
class ReceiverReferenceTime:
    """Block 4 (RFC 3611 section 4.4): the 64-bit NTP time at which a receiver sent the block."""

    sender_ssrc: int
    ntp: int


@dataclass(frozen=True, slots=True)
class DelaySinceLastReceiverReport:
    """One sub-block of block 5 (RFC 3611 section 4.5), for the receiver `ssrc`.

    `last_rr` is the middle 32 bits of the receiver's last reference time, `delay_since_last_rr`
    the time since it arrived, in 1/65536 s; both are 0 when none has arrived.
    """

    sender_ssrc: int
    ssrc: int
    last_rr: int
    delay_since_last_rr: int


ExtendedBlock: TypeAlias = VoipMetrics | ReceiverReferenceTime | DelaySinceLastReceiverReport


def parse_extended_report(body: bytes) -> list[ExtendedBlock]:
    """Return the known blocks of an XR.  Raises MalformedPacket and struct.error."""
    (sender,) = WORD.unpack_from(body)
    found: list[ExtendedBlock] = []
    at = WORD.size
    while at < len(body):
        kind, _, words = HEADER.unpack_from(body, at)
        begin, at = at + HEADER.size, at + 4 * (words + 1)
        if at > len(body):
            raise MalformedPacket("an XR block runs beyond its packet")
        found += parse_block(sender, kind, body[begin:at])
    return found


def parse_block(sender: int, kind: int, content: bytes) -> list[ExtendedBlock]:
    """Parse the content of one block; [] for an unknown type.  Raises MalformedPacket."""
    if kind == VOIP_METRICS_BLOCK:
        if len(content) != METRICS.size:
            raise MalformedPacket("a VoIP metrics block has another length than 8 words")
        return [VoipMetrics(sender, *METRICS.unpack(content))]
    if kind == REFERENCE_TIME_BLOCK:
        if len(content) != TIME.size:
            raise MalformedPacket("a receiver reference time has another length than 2 words")
        return [ReceiverReferenceTime(sender, *TIME.unpack(content))]
    if kind == DLRR_BLOCK:
        if len(content) % ENTRY.size:
            raise MalformedPacket("a DLRR block does not hold whole sub-blocks")
        entries = ENTRY.iter_unpack(content[: MOST_ENTRIES * ENTRY.size])
        return [DelaySinceLastReceiverReport(sender, *entry) for entry in entries]
    return []


def print_extended_report(blocks: Sequence[ExtendedBlock]) -> bytes:
    """The body of an XR with `blocks` of one sender, in order.  Raises struct.error."""
    return WORD.pack(blocks[0].sender_ssrc) + b"".join(map(print_block, blocks))


def print_block(block: ExtendedBlock) -> bytes:
    """One block with its header."""
    match block:
        case VoipMetrics():
            kind, content = VOIP_METRICS_BLOCK, METRICS.pack(*METRICS_FIELDS(block))
        case ReceiverReferenceTime(_, ntp):
            kind, content = REFERENCE_TIME_BLOCK, TIME.pack(ntp)
        case DelaySinceLastReceiverReport(_, ssrc, last_rr, delay):
            kind, content = DLRR_BLOCK, ENTRY.pack(ssrc, last_rr, delay)
    return HEADER.pack(kind, 0, len(content) // 4) + content
