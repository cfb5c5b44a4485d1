"""RFC 3550: the algorithms of Appendix A against values worked out by hand from its text."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from softphone.media.bank.reception import ReceptionBank
from softphone.rtp import (
    ReceptionStatistics,
    ReportBlock,
    RtcpSession,
    SenderInformation,
    ntp_from_wall,
    parse_compound,
    round_trip_time,
)
from softphone.rtp.reception_statistics import MAX_DROPOUT, MAX_MISORDER, MIN_SEQUENTIAL


def test_a1_has_the_constants_of_the_appendix() -> None:
    assert (MAX_DROPOUT, MAX_MISORDER, MIN_SEQUENTIAL) == (3000, 100, 2)


def test_a3_gives_the_fraction_in_256ths_and_a_signed_cumulative_count() -> None:
    reception = ReceptionStatistics(clock_rate_hz=8000, trusted=True)
    for number in (1, 2, 3, 5, 8):
        reception.record_packet(number, 160 * number, now=0.02 * number)
    report = reception.report()
    # Expected 8, received 5: 3 lost, (3 << 8) / 8.
    assert (report.cumulative_lost, report.fraction_lost) == (3, 96)
    for _ in range(6):
        reception.record_packet(8, 1280, now=0.2)
    report = reception.report()
    assert (report.cumulative_lost, report.fraction_lost) == (-3, 0)


def test_a8_smooths_the_jitter_by_a_sixteenth() -> None:
    reception = ReceptionStatistics(clock_rate_hz=8000, trusted=True)
    reception.record_packet(1, 0, now=0.0)
    reception.record_packet(2, 160, now=0.030)  # 80 units late
    assert reception.jitter == pytest.approx(80 / 16)
    reception.record_packet(3, 320, now=0.040)  # on time again: D is 80 once more
    assert reception.jitter == pytest.approx(5.0 + (80 - 5.0) / 16)


def test_one_source_and_a_bank_of_sources_agree_packet_by_packet() -> None:
    generator = np.random.default_rng(3550)
    single = [ReceptionStatistics(clock_rate_hz=8000, trusted=True) for _ in range(20)]
    bank = ReceptionBank(20)
    for row in range(20):
        bank.open_row(row, clock_rate_hz=8000)
    for number in range(400):
        here = np.flatnonzero(generator.random(20) > 0.1).astype(np.int32)
        late = generator.random(here.size) * 0.03
        sequence = np.full(here.size, (65400 + number) % 65536, dtype=np.uint16)
        timestamp = np.full(here.size, 160 * number, dtype=np.uint32)
        arrival = 0.02 * number + late
        bank.update(here, sequence, timestamp, np.full(here.size, 9, dtype=np.uint32), arrival)
        for row, came in zip(here.tolist(), arrival.tolist(), strict=True):
            single[row].record_packet((65400 + number) % 65536, 160 * number, now=came)
        if number % 97 == 96:
            for row, reception in enumerate(single):
                block, report = bank.report_block(row), reception.report()
                assert block.fraction_lost == report.fraction_lost
                assert block.jitter == report.jitter
                assert block.cumulative_lost == report.cumulative_lost
                assert block.highest_sequence == report.highest_sequence


def test_6_4_1_works_the_example_of_figure_2() -> None:
    # RFC 3550 figure 2: SR at 0xb44db705:20000000, DLSR 5.250 s, arrival at 0xb710:8000, 6.125 s.
    block = ReportBlock(1, 0, 0, 0, 0, last_sr=0xB7052000, delay_since_last_sr=0x00054000)
    wall = 0xB44DB710 + 0.5 - 2_208_988_800
    assert round_trip_time(block, wall=wall) == pytest.approx(6.125, abs=1e-4)


def test_4_places_the_ntp_epoch_in_1900() -> None:
    assert ntp_from_wall(0.0) == 2_208_988_800 << 32
    assert ntp_from_wall(0.5) & 0xFFFFFFFF == 1 << 31


def drawn(value: float) -> Callable[[int], bytes]:
    """An entropy whose draws are all `value`, 0.0 to 1.0."""
    return lambda octets: int(value * (1 << 32)).to_bytes(octets, "big")


@pytest.mark.parametrize(("value", "share"), [(0.0, 0.5), (0.5, 1.0), (0.999999, 1.5)])
def test_6_3_1_spreads_the_interval_from_a_half_to_three_halves(value: float, share: float) -> None:
    session = RtcpSession(ssrc=1, cname="a", entropy=drawn(value), now=100.0)
    # The first interval has half the minimum; all are divided by e - 3/2.
    assert session.next_timer() - 100.0 == pytest.approx(2.5 * share / 1.21828, rel=1e-4)


def test_6_3_6_reconsiders_at_the_timer_and_sends_only_when_it_is_still_due() -> None:
    draws = iter([0.0, 0.9, 0.0, 0.5])
    session = RtcpSession(
        ssrc=1,
        cname="a",
        entropy=lambda n: int(next(draws) * (1 << 32)).to_bytes(n, "big"),
        now=0.0,
    )
    first = session.next_timer()
    assert not session.report_due(now=first)
    second = session.next_timer()
    assert second > first
    assert session.report_due(now=second)
    report = session.build_report(now=second, wall=0.0, sent=None)
    assert parse_compound(report)[0].ssrc == 1  # type: ignore[union-attr]
    # From now on the full minimum holds.
    assert session.next_timer() - second == pytest.approx(5.0 / 1.21828, rel=1e-4)


def test_6_2_shares_the_bandwidth_among_many_members() -> None:
    session = RtcpSession(ssrc=1, cname="a", entropy=drawn(0.5), now=0.0, bandwidth=50.0)
    session.build_report(now=0.0, wall=0.0, sent=None)
    alone = session.next_timer()
    for ssrc in range(2, 40):
        other = RtcpSession(ssrc=ssrc, cname="b", entropy=drawn(0.5), now=0.0)
        session.receive_compound(
            other.build_report(now=0.0, wall=0.0, sent=None), now=0.0, wall=0.0
        )
    session.build_report(now=0.0, wall=0.0, sent=None)
    assert session.members == 39
    assert session.next_timer() > 5 * alone


def test_6_3_5_forgets_members_that_are_silent_for_five_intervals() -> None:
    session = RtcpSession(ssrc=1, cname="a", entropy=drawn(0.0), now=0.0)
    other = RtcpSession(ssrc=2, cname="b", entropy=drawn(0.0), now=0.0)
    session.receive_compound(other.build_report(now=0.0, wall=0.0, sent=None), now=0.0, wall=0.0)
    session.report_due(now=24.0)
    assert session.members == 2
    session.report_due(now=26.0)
    assert session.members == 1


def test_6_3_4_brings_the_next_report_nearer_when_members_leave() -> None:
    session = RtcpSession(ssrc=1, cname="a", entropy=drawn(0.5), now=0.0)
    other = RtcpSession(ssrc=2, cname="b", entropy=drawn(0.5), now=0.0)
    session.receive_compound(other.build_report(now=0.0, wall=0.0, sent=None), now=0.0, wall=0.0)
    before = session.next_timer()
    told = session.receive_compound(
        other.build_bye(now=0.0, wall=0.0, sent=None, reason="done"), now=0.0, wall=0.0
    )
    assert told is not None
    assert told.bye == "done"
    assert session.next_timer() == pytest.approx(before / 2)


def test_a_sender_and_a_receiver_measure_their_round_trip() -> None:
    alice = RtcpSession(ssrc=1, cname="alice", entropy=drawn(0.5), now=0.0)
    bob = RtcpSession(ssrc=2, cname="bob", entropy=drawn(0.5), now=0.0)
    sent = SenderInformation(rtp_timestamp=160, packet_count=1, octet_count=160)
    wall = 1_700_000_000.0
    report = alice.build_report(now=0.0, wall=wall, sent=sent)
    bob.receive_compound(report, now=50.030, wall=wall + 9.0)  # the clocks do not agree
    block = ReportBlock(1, fraction_lost=128, cumulative_lost=3, highest_sequence=9, jitter=7)
    answer = bob.build_report(now=53.030, wall=wall + 12.0, sent=None, received=(block,))
    told = alice.receive_compound(answer, now=3.080, wall=wall + 3.080)
    assert told is not None
    assert told.round_trip_time == pytest.approx(0.080, abs=1e-3)
    assert (told.fraction_lost, told.cumulative_lost, told.jitter) == (0.5, 3, 7)
