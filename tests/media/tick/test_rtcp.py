"""RTCP of a bank: reports, their protection, and the farewell."""

from __future__ import annotations

import itertools

import pytest

from softphone.events import Direction
from softphone.media.quality import stream_statistics
from softphone.media.tick import make_bye
from softphone.media.tick.rtcp import send_rtcp
from softphone.rtp import (
    ReceiverReport,
    RtcpBye,
    SenderReport,
    SourceDescription,
    VoipMetrics,
    parse_compound,
    wall_from_ntp,
)
from softphone.security import CryptoSuite
from tests.support.wire import WALL, Datagram, Wire

GCM = CryptoSuite.AEAD_AES_128_GCM


def reports_of(wire, frames=400):
    """Run, and give the RTCP datagrams that A sent, with their frames."""
    found: list[tuple[int, Datagram]] = []

    def note(frame, datagram):
        if not datagram.is_rtp:
            found.append((frame, datagram))
        return [datagram]

    wire.run(frames, to_b=note)
    return found


def test_a_sender_reports_what_it_sent_and_what_it_heard():
    wire = Wire(cname="alice@example")
    frame, datagram = reports_of(wire)[0]
    report, description = parse_compound(datagram.data)[:2]
    assert isinstance(report, SenderReport)
    assert report.packet_count == frame + 1
    assert report.octet_count == 160 * (frame + 1)
    assert wall_from_ntp(report.ntp) == pytest.approx(WALL + 0.02 * frame, abs=1e-3)
    base = int(wire.a.bank.sender.timestamp_base[wire.a.row])
    assert report.rtp_timestamp == (base + 160 * frame) & 0xFFFFFFFF
    assert report.reports[0].ssrc == int(wire.b.bank.sender.ssrc[wire.b.row])
    assert description == SourceDescription(report.ssrc, "alice@example")


def test_who_sends_nothing_reports_as_a_receiver():
    wire = Wire(direction=Direction.RECVONLY)
    _, datagram = reports_of(wire)[0]
    assert isinstance(parse_compound(datagram.data)[0], ReceiverReport)


def test_intervals_are_random_and_of_the_right_size():
    frames = [frame for frame, _ in reports_of(Wire(), 3000)]
    gaps = [0.02 * (after - before) for before, after in itertools.pairwise(frames)]
    assert len(gaps) >= 8
    assert all(2.0 <= gap <= 6.3 for gap in gaps)
    assert len(set(gaps)) > 4


def test_under_srtp_every_report_is_srtcp():
    wire = Wire(suite=GCM)
    found = reports_of(wire)
    assert found
    for _, datagram in found:
        assert len(datagram.data) % 4 == 0
        # The E flag and index end an AEAD SRTCP packet (RFC 7714 9.1).
        assert datagram.data[-4] & 0x80
    assert stream_statistics(wire.b.bank, wire.b.handle).remote_fraction_lost is not None


def test_malformed_and_forged_reports_are_counted_and_tell_nothing():
    wire, secure = Wire(), Wire(suite=GCM)
    for each in (wire, secure):
        each.run(2)
        for data in (b"", b"\x80", b"\x80\xc8\x00\xff" + bytes(24), b"\xff" * 40):
            each.b.take(Datagram(data, ("10.0.0.1", 5001), 5001), at=0.05)
        each.b.tick(each.frame)
        assert stream_statistics(each.b.bank, each.b.handle).remote_fraction_lost is None
    assert stream_statistics(wire.b.bank, wire.b.handle).malformed == 4
    seen = stream_statistics(secure.b.bank, secure.b.handle)
    assert seen.malformed + seen.authentication_failures == 4


def test_the_farewell_is_a_bye_and_who_never_sent_says_none():
    wire = Wire()
    stream = wire.a.bank.find_stream(wire.a.handle)
    assert make_bye(wire.a.bank, stream, 0, now=0.0, wall=WALL) is None
    wire.run(3)
    data = make_bye(wire.a.bank, stream, 60, now=0.06, wall=WALL)
    assert any(isinstance(packet, RtcpBye) for packet in parse_compound(data))


def test_after_a_change_of_ssrc_reports_speak_for_the_new_one():
    wire = Wire()
    wire.run(10)
    wire.a.bank.change_ssrc(wire.a.row)
    found = reports_of(wire, 800)
    report = parse_compound(found[-1][1].data)[0]
    assert report.ssrc == int(wire.a.bank.sender.ssrc[wire.a.row])


def test_a_released_row_reports_no_more():
    wire = Wire()
    wire.run(2)
    wire.a.bank.release_row(wire.a.handle)
    out = wire.a.outgoing
    out.count = 0
    send_rtcp(wire.a.bank, out, 0, now=1e6, wall=WALL)
    assert out.count == 0


XR = ("voip-metrics", "rcvr-rtt")


def lossy(frame, datagram):
    """Two bursts of three losses, and one loss alone."""
    lost = datagram.is_rtp and frame in (100, 102, 104, 160, 210, 211, 215)
    return [] if lost else [datagram]


@pytest.mark.parametrize("suite", [None, GCM])
def test_who_is_asked_to_tells_its_voip_metrics(suite):
    wire = Wire(suite=suite, extended_reports=XR)
    wire.run(600, to_b=lossy)
    heard, told = (stream_statistics(end.bank, end.handle) for end in (wire.b, wire.a))
    assert heard.quality is not None
    assert heard.quality.burst_duration_ms == pytest.approx(20 * (5 + 6) / 2)
    assert heard.quality.burst_density == pytest.approx(6 / 11)
    # What b measured of what a sends is what a has been told.
    assert told.remote_quality is not None
    assert told.remote_quality.burst_duration_ms == 110.0
    assert told.remote_quality.burst_density == pytest.approx(6 / 11, abs=1 / 256)
    assert told.remote_quality.loss_rate == pytest.approx(7 / 600, abs=1 / 128)
    assert told.remote_mos == told.remote_quality.mos_conversational
    assert told.quality is not None
    assert told.quality.loss_rate == 0.0
    assert told.remote_ssrc == int(wire.b.bank.sender.ssrc[wire.b.row])


def test_metrics_come_with_the_report_on_their_source():
    wire = Wire(extended_reports=XR)
    _, datagram = reports_of(wire)[0]
    packets = parse_compound(datagram.data)
    assert [type(packet) for packet in packets] == [SenderReport, SourceDescription, VoipMetrics]
    assert packets[2].ssrc == packets[0].reports[0].ssrc
    assert packets[2].sender_ssrc == packets[0].ssrc


def test_a_receiver_learns_the_round_trip_by_reference_times():
    wire = Wire(extended_reports=("rcvr-rtt",), direction=Direction.RECVONLY)
    wire.run(1200)
    assert stream_statistics(wire.a.bank, wire.a.handle).round_trip_time_ms == pytest.approx(
        0.0, abs=45.0
    )
    plain = Wire(direction=Direction.RECVONLY)
    plain.run(1200)
    assert stream_statistics(plain.a.bank, plain.a.handle).round_trip_time_ms is None


def test_who_is_not_asked_sends_and_counts_nothing():
    wire = Wire()
    for _, datagram in reports_of(wire):
        assert not any(isinstance(p, VoipMetrics) for p in parse_compound(datagram.data))
    assert wire.a.bank.playout.bursts is None
    seen = stream_statistics(wire.a.bank, wire.a.handle)
    assert seen.quality is seen.remote_quality is None
    # Plain reports let expect something, too.
    assert seen.remote_mos is not None
    assert 4.0 < seen.remote_mos <= 4.5
