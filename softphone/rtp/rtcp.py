"""RTCP packets: reports, descriptions, goodbyes and feedback, read and written.

RFC 3550 section 6 (SR, RR, SDES, BYE, APP), RFC 3611 (XR: receiver reference time, DLRR, VoIP
metrics), RFC 4585 (NACK, PLI) and RFC 5104 (FIR).  When to send them is `rtcp_session`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

__all__ = [
    "App",
    "Bye",
    "FullIntraRequest",
    "Nack",
    "PictureLossIndication",
    "ReceiverReport",
    "ReportBlock",
    "RtcpPacket",
    "SenderReport",
    "SourceDescription",
    "VoipMetrics",
    "ntp_from_wall",
    "parse_compound",
    "print_compound",
    "round_trip_time",
    "wall_from_ntp",
]


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """What a receiver saw of one source (RFC 3550 section 6.4.1).

    `fraction_lost` is 0 to 255 of 256; `last_sr` the middle 32 bits of the source's NTP time,
    `delay_since_last_sr` in 1/65536 s; both 0 when no SR was received.
    """

    ssrc: int
    fraction_lost: int
    cumulative_lost: int
    highest_sequence: int
    jitter: int
    last_sr: int = 0
    delay_since_last_sr: int = 0


@dataclass(frozen=True, slots=True)
class SenderReport:
    """SR (RFC 3550 section 6.4.1); `ntp` is the 64-bit NTP time."""

    ssrc: int
    ntp: int
    rtp_timestamp: int
    packet_count: int
    octet_count: int
    reports: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    """RR (RFC 3550 section 6.4.2)."""

    ssrc: int
    reports: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceDescription:
    """SDES of one source (RFC 3550 section 6.5); items other than CNAME are (type, text) pairs."""

    ssrc: int
    cname: str
    items: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Bye:
    """BYE (RFC 3550 section 6.6)."""

    ssrcs: tuple[int, ...]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class App:
    """APP (RFC 3550 section 6.7)."""

    ssrc: int
    subtype: int
    name: bytes
    data: bytes = b""


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
class VoipMetrics:
    """XR block 7 (RFC 3611 section 4.7), fields as on the wire; 127 is "unavailable"."""

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


RtcpPacket: TypeAlias = (
    SenderReport
    | ReceiverReport
    | SourceDescription
    | Bye
    | App
    | PictureLossIndication
    | FullIntraRequest
    | Nack
    | VoipMetrics
)


def parse_compound(data: bytes, *, reduced_size: bool = False) -> tuple[RtcpPacket, ...]:
    """Read a compound packet; packets of unknown types are skipped.

    The checks of RFC 3550 A.2 apply: version, SR or RR first (not with `reduced_size`, RFC 5506),
    padding on the last only, lengths that add up.  Raises MalformedPacket.
    """
    raise NotImplementedError


def print_compound(packets: tuple[RtcpPacket, ...]) -> bytes:
    """Write packets as one datagram.  Raises ValueError unless it begins with SR or RR."""
    raise NotImplementedError


def ntp_from_wall(wall: float) -> int:
    """The 64-bit NTP time of `wall`, seconds since 1970 (RFC 3550 section 4)."""
    raise NotImplementedError


def wall_from_ntp(ntp: int) -> float:
    """Seconds since 1970 of a 64-bit NTP time."""
    raise NotImplementedError


def round_trip_time(block: ReportBlock, *, wall: float) -> float | None:
    """Seconds of round trip by a report on us that came at `wall`; None without LSR."""
    raise NotImplementedError
