"""Schedules RTCP and keeps what it reports: one participant of a small session.

RFC 3550 sections 6.2, 6.3 and A.7 (transmission interval, reconsideration, time-out of members),
6.4.1 (round-trip time), 6.6 (BYE).  The caller has the media: it passes the counts of what was
sent and received when a report is due.  At most `MOST_MEMBERS` SSRCs are remembered.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace

from softphone.fast_dataclass import fast_init
from softphone.rtp.packet import MalformedPacket
from softphone.rtp.rtcp_feedback import (
    BitrateLimit,
    FullIntraRequest,
    Nack,
    PictureLossIndication,
    TemporaryBitrateNotification,
    TemporaryBitrateRequest,
)
from softphone.rtp.rtcp_packet import (
    RR,
    SR,
    WORD,
    ReceiverReport,
    ReportBlock,
    RtcpBye,
    RtcpPacket,
    SenderReport,
    SourceDescription,
    ntp_from_wall,
    parse_compound,
    print_block,
    print_compound,
    print_packet,
    print_sender,
    round_trip_time,
    wall_from_ntp,
    with_header,
)
from softphone.rtp.rtcp_xr import (
    XR,
    DelaySinceLastReceiverReport,
    ExtendedBlock,
    ReceiverReferenceTime,
    VoipMetrics,
    print_extended_report,
)
from softphone.sans_io import Entropy, random_share

COMPENSATION = math.e - 1.5
"""Compensates for timer reconsideration, which converges below the intended average (6.3.1)."""
SENDER_SHARE = 0.25
FIRST_SIZE = 128.0
LOWER_LAYERS = 28
"""Octets of UDP and IPv4 headers added to the size of each packet (6.2)."""
TIMEOUT_INTERVALS = 5
MOST_MEMBERS = 64
MOST_ANSWERS = 4
"""The most reference times that one report answers; two participants have one each."""


@fast_init
@dataclass(frozen=True, slots=True)
class SenderInformation:
    """Sender information of an SR: RTP timestamp of now, packets and payload octets sent."""

    rtp_timestamp: int
    packet_count: int
    octet_count: int


@fast_init
@dataclass(frozen=True, slots=True)
class SenderClock:
    """The clocks of an SR's sender: its `rtp_timestamp` is the instant `wall` of its wall clock,
    in seconds since 1970 (6.4.1)."""

    ssrc: int
    wall: float
    rtp_timestamp: int

    def at(self, rtp_timestamp: int, clock_rate_hz: int) -> float:
        """The sender's wall clock at another timestamp, at most half a wrap away."""
        ahead = (rtp_timestamp - self.rtp_timestamp + 0x80000000) % 0x100000000 - 0x80000000
        return self.wall + ahead / clock_rate_hz


@dataclass(slots=True)
class RemoteReport:
    """The content of one received compound packet, about us and the far end.

    `fraction_lost` is 0.0 to 1.0, `jitter` in our timestamp units, `round_trip_time` in seconds;
    None: not reported.  `bye` is the reason of a BYE ("" if it gives none).  `lost` are our
    sequence numbers in a NACK; `limit` is the TMMBR addressed to us, with the SSRC that asks;
    `granted` tells whether a TMMBN names us as an owner of its limits.
    """

    fraction_lost: float | None = None
    cumulative_lost: int | None = None
    jitter: int | None = None
    round_trip_time: float | None = None
    voip_metrics: VoipMetrics | None = None
    sender_clock: SenderClock | None = None
    key_frame_requested: bool = False
    bye: str | None = None
    lost: tuple[int, ...] = ()
    limit: BitrateLimit | None = None
    granted: bool = False


@dataclass(slots=True)
class RtcpMember:
    """Another SSRC: time of its last packet, its last SR, its last receiver reference time and
    the command sequence number of its last FIR."""

    last_heard: float
    command: int | None = None
    sender: bool = False
    last_sr: int = 0
    last_sr_arrival: float = 0.0
    last_rr: int = 0
    last_rr_arrival: float = 0.0


class RtcpSession:
    """The RTCP state of one stream, without socket or clock.

    `bandwidth` is the session's RTCP bandwidth in octets/s, `minimum_interval` is in seconds.
    """

    def __init__(
        self,
        *,
        ssrc: int,
        cname: str,
        entropy: Entropy,
        now: float,
        bandwidth: float = 400.0,
        minimum_interval: float = 5.0,
    ) -> None:
        self.ssrc = ssrc
        self.malformed = 0
        self._cname = cname
        self._described, self._description = -1, b""
        self._entropy = entropy
        self._bandwidth = bandwidth
        self._minimum = minimum_interval
        self._members: dict[int, RtcpMember] = {}
        self._average_size = FIRST_SIZE
        self._initial = True
        self._sending = False
        self._previous = now
        self._next = now + self._interval()

    @property
    def members(self) -> int:
        """The number of participants, ourselves included."""
        return 1 + len(self._members)

    def next_timer(self) -> float:
        """The earliest time at which the next report may be due."""
        return self._next

    def report_due(self, *, now: float) -> bool:
        """Return whether to send a report now, after timer reconsideration (6.3.6)."""
        if now < self._next:
            return False
        self._time_out(now)
        reconsidered = self._previous + self._interval()
        if reconsidered <= now:
            return True
        self._next = reconsidered
        return False

    def build_report(
        self,
        *,
        now: float,
        wall: float,
        sent: SenderInformation | None,
        received: tuple[ReportBlock, ...] = (),
        metrics: VoipMetrics | None = None,
        receiver_rtt: bool = False,
    ) -> bytes:
        """Return this interval's compound packet, and schedule the next report.

        It has an SR with `sent`, an RR without, then SDES and XR.  This method fills in `last_sr`
        and `delay_since_last_sr` of the blocks.  With `receiver_rtt`, the XR answers the others'
        reference times by DLRR, and has our own beside an RR (RFC 3611 4.4, 4.5).
        Raises ValueError for a field that does not fit.
        """
        blocks: list[ExtendedBlock] = []
        if receiver_rtt:
            blocks = self._reference_times(now, None if sent is not None else wall)
        if metrics is not None:
            blocks += (metrics,)
        data = self._print(now, wall, sent, received, blocks)
        self._average_size += (len(data) + LOWER_LAYERS - self._average_size) / 16.0
        self._sending = sent is not None
        self._initial = False
        self._previous = now
        self._next = now + self._interval()
        return data

    def build_bye(
        self, *, now: float, wall: float, sent: SenderInformation | None, reason: str = ""
    ) -> bytes:
        """Return the compound packet with the BYE that leaves the session (6.6).

        It is sent at once: the back-off of 6.3.7 is for sessions of more than 50 members.
        """
        bye = print_compound((RtcpBye((self.ssrc,), reason),), reduced_size=True)
        return self._print(now, wall, sent) + bye

    def receive_compound(self, data: bytes, *, now: float, wall: float) -> RemoteReport | None:
        """Process a compound packet; None for a malformed one, which `malformed` counts."""
        try:
            packets = parse_compound(data, reduced_size=True)
        except MalformedPacket:
            self.malformed += 1
            return None
        self._average_size += (len(data) + LOWER_LAYERS - self._average_size) / 16.0
        report = RemoteReport()
        self._apply_packets(packets, report, now, wall)
        return report

    # Sending ------------------------------------------------------------------------------------

    def _print(
        self,
        now: float,
        wall: float,
        sent: SenderInformation | None,
        received: tuple[ReportBlock, ...] = (),
        extended: Sequence[ExtendedBlock] = (),
    ) -> bytes:
        """SR or RR, SDES, and XR with the blocks of `extended`, which are ours.

        Prints what `print_compound` would of these packets, without making them.
        """
        ssrc = self.ssrc
        try:
            if sent is None:
                kind, body = RR, WORD.pack(ssrc)
            else:
                kind, timestamp = SR, sent.rtp_timestamp & 0xFFFFFFFF
                counts = sent.packet_count, sent.octet_count
                body = print_sender(ssrc, ntp_from_wall(wall), timestamp, *counts)
            for block in received:
                last_sr, delay = block.last_sr, block.delay_since_last_sr
                member = self._members.get(block.ssrc)
                if member is not None and member.last_sr:
                    last_sr, delay = member.last_sr, _delay_since(member.last_sr_arrival, now)
                body += print_block(block, last_sr, delay)
            data = with_header(kind, len(received), body)
            if self._described != ssrc:
                self._description = print_packet(SourceDescription(ssrc, self._cname))
                self._described = ssrc
            data += self._description
            return data + with_header(XR, 0, print_extended_report(extended)) if extended else data
        except struct.error as error:
            raise ValueError(f"a field of an RTCP packet is out of range: {error}") from error

    def _reference_times(self, now: float, wall: float | None) -> list[ExtendedBlock]:
        """Our reference time at `wall` (None: omit it), and DLRR for the others' times."""
        own = () if wall is None else (ReceiverReferenceTime(self.ssrc, ntp_from_wall(wall)),)
        answers = [
            DelaySinceLastReceiverReport(
                self.ssrc, ssrc, member.last_rr, _delay_since(member.last_rr_arrival, now)
            )
            for ssrc, member in self._members.items()
            if member.last_rr
        ]
        return [*own, *answers[:MOST_ANSWERS]]

    def _interval(self) -> float:
        """A randomized interval in seconds (6.3.1, A.7)."""
        members, senders = self._members, int(self._sending)
        for member in members.values():
            senders += member.sender
        sharing, bandwidth = 1 + len(members), self._bandwidth
        if senders <= sharing * SENDER_SHARE:
            if self._sending:
                sharing, bandwidth = senders, bandwidth * SENDER_SHARE
            else:
                sharing, bandwidth = sharing - senders, bandwidth * (1.0 - SENDER_SHARE)
        minimum = self._minimum / 2.0 if self._initial else self._minimum
        interval = max(self._average_size * sharing / bandwidth, minimum)
        share = random_share(self._entropy)
        return interval * (share + 0.5) / COMPENSATION

    def _time_out(self, now: float) -> None:
        """Remove members that were silent for five intervals (6.3.5)."""
        members = self._members
        interval = max(self._average_size * (1 + len(members)) / self._bandwidth, self._minimum)
        horizon = now - TIMEOUT_INTERVALS * interval
        for ssrc, member in tuple(members.items()):
            if member.last_heard < horizon:
                del members[ssrc]

    # Receiving ----------------------------------------------------------------------------------

    def _apply_packets(
        self, packets: tuple[RtcpPacket, ...], report: RemoteReport, now: float, wall: float
    ) -> None:
        for packet in packets:
            match packet:
                case SenderReport():
                    self._apply_sender_report(packet, report, now, wall)
                case ReceiverReport(ssrc, reports):
                    member = self._member(ssrc, now)
                    if member is not None:
                        member.sender = False
                    self._apply_report_blocks(reports, report, wall)
                case SourceDescription(ssrc):
                    self._member(ssrc, now)
                case VoipMetrics():
                    if packet.ssrc == self.ssrc:
                        report.voip_metrics = packet
                case RtcpBye(ssrcs, reason):
                    self._remove_members(ssrcs, now)
                    report.bye = reason
                case ReceiverReferenceTime() | DelaySinceLastReceiverReport():
                    self._apply_reference_time(packet, report, now, wall)
                case _:
                    self._apply_feedback(packet, report, now)

    def _apply_reference_time(
        self,
        packet: ReceiverReferenceTime | DelaySinceLastReceiverReport,
        report: RemoteReport,
        now: float,
        wall: float,
    ) -> None:
        match packet:
            case ReceiverReferenceTime(ssrc, ntp):
                member = self._member(ssrc, now)
                if member is not None:
                    member.last_rr = ntp >> 16 & 0xFFFFFFFF
                    member.last_rr_arrival = now
            case DelaySinceLastReceiverReport(_, ssrc) if ssrc == self.ssrc:
                trip = round_trip_time(packet, wall=wall)
                if trip is not None:
                    report.round_trip_time = trip

    def _apply_sender_report(
        self, packet: SenderReport, report: RemoteReport, now: float, wall: float
    ) -> None:
        ntp = packet.ntp
        member = self._member(packet.ssrc, now)
        if member is not None:
            member.sender = True
            member.last_sr = ntp >> 16 & 0xFFFFFFFF
            member.last_sr_arrival = now
        if ntp:
            clock = SenderClock(packet.ssrc, wall_from_ntp(ntp), packet.rtp_timestamp)
            report.sender_clock = clock
        self._apply_report_blocks(packet.reports, report, wall)

    def _apply_feedback(self, packet: RtcpPacket, report: RemoteReport, now: float) -> None:
        match packet:
            case PictureLossIndication(_, media) if media == self.ssrc:
                report.key_frame_requested = True
            case FullIntraRequest():
                if self._is_new_command(packet, now):
                    report.key_frame_requested = True
            case Nack(_, media, lost) if media == self.ssrc:
                report.lost = (*report.lost, *lost)
            case TemporaryBitrateRequest(sender, entries):
                ours = [entry for entry in entries if entry.ssrc == self.ssrc]
                if ours:
                    report.limit = replace(ours[0], ssrc=sender)
            case TemporaryBitrateNotification(_, entries):
                report.granted = any(entry.ssrc == self.ssrc for entry in entries)

    def _is_new_command(self, packet: FullIntraRequest, now: float) -> bool:
        """Whether a FIR is a new command to us; a repetition keeps its number (RFC 5104 4.3.1)."""
        number = next((number for ssrc, number in packet.entries if ssrc == self.ssrc), None)
        member = self._member(packet.sender_ssrc, now)
        if number is None or member is None or member.command == number:
            return False
        member.command = number
        return True

    def _apply_report_blocks(
        self, blocks: tuple[ReportBlock, ...], report: RemoteReport, wall: float
    ) -> None:
        for block in blocks:
            if block.ssrc == self.ssrc:
                report.fraction_lost = block.fraction_lost / 256.0
                report.cumulative_lost = block.cumulative_lost
                report.jitter = block.jitter
                report.round_trip_time = round_trip_time(block, wall=wall)
                return

    def _member(self, ssrc: int, now: float) -> RtcpMember | None:
        """Return or add the member with that SSRC; None for our own or a full table."""
        member = self._members.get(ssrc)
        if member is None:
            if ssrc == self.ssrc or len(self._members) >= MOST_MEMBERS:
                return None
            member = self._members[ssrc] = RtcpMember(now)
        member.last_heard = now
        return member

    def _remove_members(self, ssrcs: tuple[int, ...], now: float) -> None:
        """Remove members and bring the next report forward: reverse reconsideration (6.3.4)."""
        before = self.members
        for ssrc in ssrcs:
            self._members.pop(ssrc, None)
        share = self.members / before
        if share < 1.0:
            self._next = now + share * max(self._next - now, 0.0)
            self._previous = now - share * (now - self._previous)


def _delay_since(then: float, now: float) -> int:
    """The time from `then` to `now` in 1/65536 s, the unit of reports."""
    return max(0, min(round((now - then) * 65536.0), 0xFFFFFFFF))
