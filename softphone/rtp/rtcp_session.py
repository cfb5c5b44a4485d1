"""Schedules RTCP and keeps what it reports: one participant of a small session.

RFC 3550 sections 6.2, 6.3 and A.7 (transmission interval, reconsideration, time-out of members),
6.4.1 (round-trip time), 6.6 (BYE).  The caller has the media: it passes the counts of what was
sent and received when a report is due.  At most `MOST_MEMBERS` SSRCs are remembered.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import islice

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
    ReceiverReport,
    ReportBlock,
    RtcpBye,
    RtcpPacket,
    SenderReport,
    SourceDescription,
    ntp_from_wall,
    parse_compound,
    print_compound,
    round_trip_time,
    wall_from_ntp,
)
from softphone.rtp.rtcp_xr import (
    DelaySinceLastReceiverReport,
    ExtendedBlock,
    ReceiverReferenceTime,
    VoipMetrics,
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
        packets = self._compound(now, wall, sent, received)
        if receiver_rtt:
            packets += self._reference_times(now, None if sent is not None else wall)
        if metrics is not None:
            packets = (*packets, metrics)
        data = print_compound(packets)
        self._update_average_size(len(data))
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
        packets = (*self._compound(now, wall, sent, ()), RtcpBye((self.ssrc,), reason))
        return print_compound(packets)

    def receive_compound(self, data: bytes, *, now: float, wall: float) -> RemoteReport | None:
        """Process a compound packet; None for a malformed one, which `malformed` counts."""
        try:
            packets = parse_compound(data, reduced_size=True)
        except MalformedPacket:
            self.malformed += 1
            return None
        self._update_average_size(len(data))
        report = RemoteReport()
        for packet in packets:
            self._apply_packet(packet, report, now, wall)
        return report

    # Sending ------------------------------------------------------------------------------------

    def _compound(
        self,
        now: float,
        wall: float,
        sent: SenderInformation | None,
        received: tuple[ReportBlock, ...],
    ) -> tuple[RtcpPacket, ...]:
        blocks = tuple([self._with_last_sr(block, now) for block in received]) if received else ()
        first: SenderReport | ReceiverReport
        if sent is None:
            first = ReceiverReport(self.ssrc, blocks)
        else:
            first = SenderReport(
                self.ssrc,
                ntp_from_wall(wall),
                sent.rtp_timestamp & 0xFFFFFFFF,
                sent.packet_count,
                sent.octet_count,
                blocks,
            )
        return (first, SourceDescription(self.ssrc, self._cname))

    def _reference_times(self, now: float, wall: float | None) -> tuple[RtcpPacket, ...]:
        """Our reference time at `wall` (None: omit it), and DLRR for the others' times."""
        own = () if wall is None else (ReceiverReferenceTime(self.ssrc, ntp_from_wall(wall)),)
        answers = (
            DelaySinceLastReceiverReport(
                self.ssrc, ssrc, member.last_rr, _delay_since(member.last_rr_arrival, now)
            )
            for ssrc, member in self._members.items()
            if member.last_rr
        )
        return (*own, *islice(answers, MOST_ANSWERS))

    def _with_last_sr(self, block: ReportBlock, now: float) -> ReportBlock:
        member = self._members.get(block.ssrc)
        if member is None or not member.last_sr:
            return block
        delay = _delay_since(member.last_sr_arrival, now)
        return ReportBlock(
            block.ssrc,
            block.fraction_lost,
            block.cumulative_lost,
            block.highest_sequence,
            block.jitter,
            member.last_sr,
            delay,
        )

    def _interval(self) -> float:
        """A randomized interval in seconds (6.3.1, A.7)."""
        members = self._members
        senders = sum([member.sender for member in members.values()]) if members else 0
        senders += self._sending
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

    def _update_average_size(self, octets: int) -> None:
        self._average_size += (octets + LOWER_LAYERS - self._average_size) / 16.0

    def _time_out(self, now: float) -> None:
        """Remove members that were silent for five intervals (6.3.5)."""
        horizon = now - TIMEOUT_INTERVALS * max(
            self._average_size * self.members / self._bandwidth, self._minimum
        )
        silent = [ssrc for ssrc, member in self._members.items() if member.last_heard < horizon]
        for ssrc in silent:
            del self._members[ssrc]

    # Receiving ----------------------------------------------------------------------------------

    def _apply_packet(
        self, packet: RtcpPacket, report: RemoteReport, now: float, wall: float
    ) -> None:
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
            case RtcpBye(ssrcs, reason):
                self._remove_members(ssrcs, now)
                report.bye = reason
            case VoipMetrics() | ReceiverReferenceTime() | DelaySinceLastReceiverReport():
                self._apply_extended_report(packet, report, now, wall)
            case _:
                self._apply_feedback(packet, report, now)

    def _apply_extended_report(
        self, packet: ExtendedBlock, report: RemoteReport, now: float, wall: float
    ) -> None:
        match packet:
            case VoipMetrics(ssrc=ssrc) if ssrc == self.ssrc:
                report.voip_metrics = packet
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
