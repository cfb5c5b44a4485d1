"""RTCP of all streams: sending due reports and processing received ones.

Each stream's `RtcpSession` decides when to report; one heap holds the deadlines of all.  On SRTP
streams all RTCP is SRTCP (RFC 3711 section 3.4), and a packet that fails authentication changes
nothing.  RFC 3550 section 6, RFC 3611.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from softphone.media.bank import PacketBatch, StreamBank, StreamObjects
from softphone.media.interface import RtcpByeReceived, StreamSpec
from softphone.media.quality import stream_quality, voip_metrics
from softphone.media.tick.symmetric_rtp import accept_rtcp_source
from softphone.rtp import RemoteReport, RtcpSession, SenderInformation

LEAST_EXPECTED = 5
"""Minimum expected packet loss given to an encoder, in percent."""

MOST_REPORTS = 32
"""Maximum number of reports in one tick; the rest follow in the next, a few ms later."""

ROUNDS = 25
"""How often in a minimum interval the reports that are due are sent.

One of several at once costs half of a lone one, whose code and data are in no cache any more.  A
report is later by a twenty-fifth of its least interval at most, which is drawn from half to one and
a half of it anyway (RFC 3550 section 6.3.1).
"""


def start_rtcp(bank: StreamBank, row: int, *, now: float) -> None:
    """Start RTCP on `row`, which is open."""
    stream = bank.streams[row]
    if stream is None or stream.spec is None:
        return
    stream.rtcp = RtcpSession(
        ssrc=int(bank.sender.ssrc[row]),
        cname=stream.spec.cname,
        entropy=bank.entropy,
        now=now,
        minimum_interval=bank.rtcp_interval,
    )
    stream.reported_packets = stream.packets_before
    bank.reports.set(row, stream.rtcp.next_timer())


def send_rtcp(
    bank: StreamBank, out: PacketBatch, frame_ms: int, *, now: float, wall: float
) -> None:
    """Append due reports to `out`, at most MOST_REPORTS, unless others were just sent; `frame_ms`
    is the media time.

    Those of a withheld stream are made, for their intervals, and dropped.
    """
    if now < bank.next_reports:
        return
    for _ in range(MOST_REPORTS):
        row = bank.reports.pop_due(now)
        if row is None:
            bank.next_reports = now + bank.rtcp_interval / ROUNDS
            return
        stream = bank.streams[row]
        if stream is None or stream.rtcp is None or stream.spec is None:
            continue
        if stream.rtcp.report_due(now=now):
            data = _report(bank, stream, stream.spec, stream.rtcp, frame_ms, now=now, wall=wall)
            if data is not None and not stream.spec.withheld:
                out.append_packet(row, *bank.addresses.rtcp_place(row), data)
        bank.reports.set(row, stream.rtcp.next_timer())


def _report(
    bank: StreamBank,
    stream: StreamObjects,
    spec: StreamSpec,
    session: RtcpSession,
    frame_ms: int,
    *,
    now: float,
    wall: float,
) -> bytes | None:
    row, wanted = stream.handle.row, spec.extended_reports
    sent = _sent(bank, stream, frame_ms)
    stream.reported_packets = bank.sender.packets_sent.item(row)
    block = bank.reception.report_block(row)
    metrics = None
    if block is not None and "voip-metrics" in wanted:
        quality = stream_quality(bank, stream)
        if quality is not None:
            metrics = voip_metrics(quality, sender_ssrc=session.ssrc, ssrc=block.ssrc)
    report = session.build_report(
        now=now,
        wall=wall,
        sent=sent,
        received=() if block is None else (block,),
        metrics=metrics,
        receiver_rtt="rcvr-rtt" in wanted,
    )
    return _protect(bank, stream, spec, report)


def _sent(bank: StreamBank, stream: StreamObjects, frame_ms: int) -> SenderInformation | None:
    """Return the sender information for an SR; None when nothing was sent since the last report
    (RFC 3550 section 6.4)."""
    row, sender = stream.handle.row, bank.sender
    packets = sender.packets_sent.item(row)
    if packets == stream.reported_packets:
        return None
    position = frame_ms * sender.clock_rate.item(row) // 1000
    timestamp = (sender.timestamp_base.item(row) + position) & 0xFFFFFFFF
    octets = sender.octets_sent.item(row) - stream.octets_before
    return SenderInformation(timestamp, packets - stream.packets_before, octets)


def _protect(
    bank: StreamBank, stream: StreamObjects, spec: StreamSpec, data: bytes
) -> bytes | None:
    """Protect RTCP on an SRTP stream, and pass it on unchanged in clear; None if refused."""
    if bank.on_clear_packet is not None and not spec.withheld:
        port, address = bank.addresses.rtcp_place(stream.handle.row)
        bank.on_clear_packet(data, port, address, True)
    if not spec.secure:
        return data
    return None if stream.send_context is None else stream.send_context.protect_rtcp(data)


def make_bye(
    bank: StreamBank, stream: StreamObjects, frame_ms: int, *, now: float, wall: float
) -> bytes | None:
    """Return a protected BYE for our SSRC; None if it has sent no RTP (RFC 3550 section 6.3.7).

    None, too, for a withheld stream.
    """
    spec, sent_packets = stream.spec, int(bank.sender.packets_sent[stream.handle.row])
    if stream.rtcp is None or spec is None or spec.withheld:
        return None
    if sent_packets == stream.packets_before:
        return None
    sent = _sent(bank, stream, frame_ms)
    return _protect(bank, stream, spec, stream.rtcp.build_bye(now=now, wall=wall, sent=sent))


def receive_rtcp(
    bank: StreamBank,
    packets: PacketBatch,
    index: npt.NDArray[np.intp],
    *,
    now: float,
    wall: float,
) -> None:
    """Process the RTCP datagrams `index` of a batch; count malformed ones."""
    for at in index.tolist():
        row = packets.row.item(at)
        stream = bank.streams[row]
        if stream is None or stream.rtcp is None:
            continue
        sealed = packets.packet(at)
        data: bytes | None = sealed
        newer, context = False, stream.receive_keys.context
        if context is not None:
            data = context.unprotect_rtcp(sealed)
            newer = data is not None and context.note_rtcp(sealed)
            bank.sessions.note_heard(row, context)
        if data is None or not accept_rtcp_source(bank, packets, at, row, newer=newer):
            continue
        if bank.on_clear_packet is not None:
            bank.on_clear_packet(data, int(packets.port[at]), packets.address[at], False)
        age = now - packets.arrival.item(at)
        report = stream.rtcp.receive_compound(data, now=now, wall=wall - age)
        if report is None:
            bank.receiver.count_malformed(row)
            continue
        bank.receiver.note_alive(row, now)
        _store_report(bank, stream, report)
        if report.bye is not None:
            bank.emit(RtcpByeReceived(stream.handle, report.bye))
            # One that leaves brings the next report forward; nothing else that is received does.
            bank.reports.set(row, stream.rtcp.next_timer())


def _expect_loss(stream: StreamObjects, fraction: float) -> None:
    """Give the encoder the loss fraction that the far end reports, LEAST_EXPECTED at least."""
    if stream.encoder is not None:
        stream.encoder.expect_loss(max(LEAST_EXPECTED, round(100 * fraction)))


def _store_report(bank: StreamBank, stream: StreamObjects, report: RemoteReport) -> None:
    """Store the contents of a received report."""
    if report.fraction_lost is not None:
        stream.remote_report = report
        _expect_loss(stream, report.fraction_lost)
    if report.voip_metrics is not None:
        stream.remote_metrics = report.voip_metrics
    if report.sender_clock is not None:
        bank.delivery.set_clock(stream.handle.row, report.sender_clock)
    if report.round_trip_time is not None:
        stream.round_trip_time = report.round_trip_time
