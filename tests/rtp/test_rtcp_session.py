"""One participant of RTCP; the timing rules of the RFC are in tests/rfc/test_rfc3550.py."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from softphone.rtp import (
    BitrateLimit,
    DelaySinceLastReceiverReport,
    FullIntraRequest,
    Nack,
    PictureLossIndication,
    ReceiverReferenceTime,
    ReceiverReport,
    RemoteReport,
    ReportBlock,
    RtcpPacket,
    RtcpSession,
    SenderInformation,
    SenderReport,
    SourceDescription,
    TemporaryBitrateNotification,
    TemporaryBitrateRequest,
    VoipMetrics,
    ntp_from_wall,
    parse_compound,
    print_compound,
)
from softphone.rtp.rtcp_session import MOST_MEMBERS
from softphone.sans_io import Entropy

SENT = SenderInformation(160, 1, 160)


@pytest.fixture
def session(entropy: Entropy) -> RtcpSession:
    return RtcpSession(ssrc=1, cname="alice@example.test", entropy=entropy, now=0.0)


def test_a_report_is_a_compound_with_the_cname(session: RtcpSession) -> None:
    packets = parse_compound(session.build_report(now=3.0, wall=0.0, sent=SENT))
    assert isinstance(packets[0], SenderReport)
    assert packets[1] == SourceDescription(1, "alice@example.test")


def test_who_has_sent_nothing_reports_as_a_receiver(session: RtcpSession) -> None:
    block = ReportBlock(2, 0, 0, 5, 0)
    packets = parse_compound(session.build_report(now=3.0, wall=0.0, sent=None, received=(block,)))
    assert packets[0] == ReceiverReport(1, (block,))


def test_metrics_go_with_the_report(session: RtcpSession) -> None:
    metrics = VoipMetrics(1, 2, 10, 20, mos_listening=41)
    packets = parse_compound(session.build_report(now=3.0, wall=0.0, sent=SENT, metrics=metrics))
    assert packets[2] == metrics


def test_reports_come_at_their_average_interval(session: RtcpSession) -> None:
    now, reports = 0.0, []
    while now < 1000.0:
        now = session.next_timer()
        if session.report_due(now=now):
            session.build_report(now=now, wall=now, sent=SENT)
            reports.append(now)
    # RFC 3550 6.3.1: the average is that of the deterministic interval of 5 s.
    assert 1000.0 / len(reports) == pytest.approx(5.0, rel=0.15)
    assert all(after - before >= 2.0 for before, after in pairwise(reports))


def test_nothing_is_due_before_its_time(session: RtcpSession) -> None:
    assert not session.report_due(now=session.next_timer() - 0.001)


@pytest.mark.parametrize(
    "feedback", [PictureLossIndication(2, 1), FullIntraRequest(2, ((9, 0), (1, 7)))]
)
def test_a_key_frame_is_asked_for_by_pli_and_fir(
    session: RtcpSession, feedback: PictureLossIndication | FullIntraRequest
) -> None:
    told = session.receive_compound(
        print_compound((feedback,), reduced_size=True), now=0.0, wall=0.0
    )
    assert told is not None
    assert told.key_frame_requested


def hear(session: RtcpSession, *packets: RtcpPacket) -> RemoteReport:
    told = session.receive_compound(print_compound(packets, reduced_size=True), now=0.0, wall=0.0)
    assert told is not None
    return told


def test_a_repeated_fir_is_one_command(session: RtcpSession) -> None:
    asked = [
        hear(session, FullIntraRequest(2, ((1, number),))).key_frame_requested
        for number in (7, 7, 7, 8, 8, 7)
    ]
    assert asked == [True, False, False, True, False, True]


def test_losses_limits_and_the_far_ends_clock_are_told(session: RtcpSession) -> None:
    told = hear(
        session,
        Nack(2, 1, (5, 6)),
        Nack(2, 1, (9,)),
        TemporaryBitrateRequest(2, (BitrateLimit(1, 64_000, 40),)),
        TemporaryBitrateNotification(2, (BitrateLimit(1, 64_000, 40),)),
    )
    assert told.lost == (5, 6, 9)
    assert told.limit == BitrateLimit(2, 64_000, 40)
    assert told.granted


def test_feedback_and_blocks_on_others_are_not_about_us(session: RtcpSession) -> None:
    packets = (
        ReceiverReport(2, (ReportBlock(7, 255, 9, 9, 9),)),
        PictureLossIndication(2, 7),
        FullIntraRequest(2, ((7, 0),)),
        Nack(2, 7, (1,)),
        TemporaryBitrateRequest(2, (BitrateLimit(7, 1),)),
        TemporaryBitrateNotification(2, (BitrateLimit(7, 1),)),
        VoipMetrics(2, 7, 0, 0),
    )
    told = session.receive_compound(print_compound(packets), now=0.0, wall=0.0)
    assert told is not None
    assert told == type(told)()


def test_metrics_on_us_are_told(session: RtcpSession) -> None:
    metrics = VoipMetrics(2, 1, 5, 6)
    told = session.receive_compound(print_compound((ReceiverReport(2), metrics)), now=0.0, wall=0.0)
    assert told is not None
    assert told.voip_metrics == metrics


def test_a_receiver_learns_the_round_trip_by_its_reference_time(
    session: RtcpSession, entropy: Entropy
) -> None:
    far = RtcpSession(ssrc=2, cname="bob@example.test", entropy=entropy, now=0.0)
    report = session.build_report(now=10.0, wall=1000.0, sent=None, receiver_rtt=True)
    packets = parse_compound(report)
    assert packets[2] == ReceiverReferenceTime(1, ntp_from_wall(1000.0))
    assert far.receive_compound(report, now=20.0, wall=1000.05) is not None
    answer = far.build_report(now=23.0, wall=1003.05, sent=SENT, receiver_rtt=True)
    # Who sends has SR for that, and needs no reference time.
    assert [type(packet) for packet in parse_compound(answer)[2:]] == [DelaySinceLastReceiverReport]
    told = session.receive_compound(answer, now=13.1, wall=1003.1)
    assert told is not None
    assert told.round_trip_time == pytest.approx(0.1, abs=1e-3)


def test_answers_to_others_and_without_a_time_tell_no_round_trip(session: RtcpSession) -> None:
    for block in (
        DelaySinceLastReceiverReport(2, 7, 1 << 16, 0),
        DelaySinceLastReceiverReport(2, 1, 0, 0),
    ):
        told = session.receive_compound(
            print_compound((ReceiverReport(2), block)), now=0.0, wall=0.0
        )
        assert told is not None
        assert told.round_trip_time is None


def test_of_many_reference_times_few_are_answered(session: RtcpSession) -> None:
    for ssrc in range(2, 30):
        hear(session, ReceiverReferenceTime(ssrc, 1 << 40))
    report = session.build_report(now=1.0, wall=1.0, sent=SENT, receiver_rtt=True)
    answers = [p for p in parse_compound(report) if isinstance(p, DelaySinceLastReceiverReport)]
    assert len(answers) == 4


def test_what_is_malformed_is_counted_and_changes_nothing(session: RtcpSession) -> None:
    before = session.next_timer()
    for data in (b"", b"\x80", b"\x80\xc9\x00\x07\x00\x00\x00\x01", bytes(64)):
        assert session.receive_compound(data, now=1.0, wall=1.0) is None
    assert session.malformed == 4
    assert session.members == 1
    assert session.next_timer() == before


def test_a_flood_of_sources_is_not_remembered(session: RtcpSession) -> None:
    for ssrc in range(2, 1000):
        session.receive_compound(print_compound((ReceiverReport(ssrc),)), now=0.0, wall=0.0)
    assert session.members == 1 + MOST_MEMBERS


def test_our_own_reports_coming_back_do_not_make_us_two(session: RtcpSession) -> None:
    session.receive_compound(session.build_report(now=0.0, wall=0.0, sent=SENT), now=0.0, wall=0.0)
    assert session.members == 1


def test_goodbye_says_why(session: RtcpSession, entropy: Entropy) -> None:
    other = RtcpSession(ssrc=2, cname="bob", entropy=entropy, now=0.0)
    told = session.receive_compound(
        other.build_bye(now=0.0, wall=0.0, sent=None, reason="hung up"), now=0.0, wall=0.0
    )
    assert told is not None
    assert told.bye == "hung up"


def test_random_datagrams_never_raise(session: RtcpSession) -> None:
    generator = random.Random(1)
    for _ in range(3000):
        data = bytes((0x80 | generator.randrange(32), generator.randrange(199, 209), 0,
                      generator.randrange(8))) + generator.randbytes(28)  # fmt: skip
        session.receive_compound(data, now=0.0, wall=0.0)
    assert session.malformed > 0
    assert session.members > 1
