"""Extended numbers, frames and the grid of a bank's RTP clocks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from softphone.media.playout import PacketRuns
from softphone.media.playout.frame import ReceivedPackets
from softphone.media.playout.rtp_timeline import RtpTimelineBank, TimelineInput, TimelineResult
from tests.support.trace import Sent, arrivals, talk

ROW = np.array([0])


def opened() -> RtpTimelineBank:
    bank = RtpTimelineBank(1)
    bank.open_row(0, clock_rate_hz=8000, frame_ticks=160, octets_per_tick=1)
    return bank


def judge(
    bank: RtpTimelineBank,
    sequence: int,
    timestamp: int,
    *,
    ssrc: int = 1,
    arrival: float = 0.0,
    expected: float = 0.0,
    idle: bool = False,
    sound: bool = True,
) -> TimelineResult:
    claims = TimelineInput(
        np.array([sequence % (1 << 16)], dtype=np.uint16),
        np.array([timestamp % (1 << 32)], dtype=np.uint32),
        np.array([ssrc], dtype=np.uint32),
        np.array([arrival]),
        np.array([sound]),
    )
    return bank.judge_packets(ROW, claims, expected=np.array([expected]), idle=np.array([idle]))


def test_the_first_packet_starts_a_row() -> None:
    bank = opened()
    verdict = judge(bank, 65_535, (1 << 32) - 160)
    assert verdict.started[0]
    assert verdict.taken[0]
    assert verdict.media_time[0] == 0.0
    assert bank.resynchronized[0] == 0


def test_numbers_are_extended_over_their_wrap() -> None:
    bank = opened()
    judge(bank, 65_535, (1 << 32) - 160)
    verdict = judge(bank, 0, 0, arrival=0.02)
    assert verdict.sequence[0] == 65_536
    assert verdict.timestamp[0] == 1 << 32
    assert verdict.media_time[0] == pytest.approx(0.02)
    assert verdict.forward[0]


def test_a_packet_from_before_the_first_has_negative_time() -> None:
    bank = opened()
    judge(bank, 10, 1600)
    verdict = judge(bank, 9, 1440)
    assert verdict.taken[0]
    assert not verdict.forward[0]
    assert verdict.media_time[0] == pytest.approx(-0.02)


@pytest.mark.parametrize("behind", [0, 1, 5, 63])
def test_a_duplicate_is_known_within_the_window(behind: int) -> None:
    bank = opened()
    for number in range(100):
        assert judge(bank, number, 160 * number, arrival=0.02 * number).taken[0]
    verdict = judge(bank, 99 - behind, 160 * (99 - behind), arrival=2.0)
    assert not verdict.taken[0]
    assert bank.duplicates[0] == 1


def test_a_gap_longer_than_the_window_forgets_it() -> None:
    bank = opened()
    judge(bank, 0, 0)
    judge(bank, 500, 160 * 500, arrival=10.0)
    assert judge(bank, 499, 160 * 499, arrival=10.0).taken[0]
    assert not judge(bank, 500, 160 * 500, arrival=10.0).taken[0]


def test_a_stranger_is_believed_with_its_second_packet_in_sequence() -> None:
    bank = opened()
    judge(bank, 0, 0)
    assert not judge(bank, 70, 9, ssrc=2).taken[0]
    verdict = judge(bank, 71, 169, ssrc=2)
    assert verdict.started[0]
    assert bank.ssrc[0] == 2
    assert bank.resynchronized[0] == 1


def test_a_stranger_is_not_believed_when_the_source_goes_on() -> None:
    bank = opened()
    judge(bank, 0, 0)
    judge(bank, 70, 9, ssrc=2)
    judge(bank, 1, 160, arrival=0.02)
    assert not judge(bank, 71, 169, ssrc=2).taken[0]
    assert bank.ssrc[0] == 1


def test_an_idle_row_takes_a_new_source_at_once() -> None:
    bank = opened()
    judge(bank, 0, 0)
    assert judge(bank, 70, 9, ssrc=2, idle=True).started[0]


@pytest.mark.parametrize(
    ("sequence", "timestamp"),
    [(1, 160 + 8001), (1, 8000 * 60), (5000, 160), (1, -1600), (-100, -160 * 100)],
)
def test_a_clock_that_jumps_is_doubted_first(sequence: int, timestamp: int) -> None:
    bank = opened()
    judge(bank, 0, 0)
    assert not judge(bank, sequence, timestamp, arrival=0.02).taken[0]
    assert judge(bank, sequence + 1, timestamp + 160, arrival=0.04).started[0]


def test_the_timestamp_of_what_is_not_sound_says_nothing() -> None:
    bank = opened()
    judge(bank, 0, 0)
    verdict = judge(bank, 1, 0, arrival=5.0, sound=False)
    assert verdict.taken[0]
    assert not verdict.started[0]
    assert judge(bank, 2, 160 * 250, arrival=5.02).taken[0]


def test_a_row_back_on_the_grid_keeps_its_frames_growing() -> None:
    bank = opened()
    judge(bank, 0, 0)
    timestamp = np.array([160 * 10 + 37])

    def located(movable: bool) -> tuple[int, int]:
        frame, rest = bank.locate(ROW, timestamp, np.array([movable]))
        return int(frame[0]), int(rest[0])

    assert located(False) == (10, 37)
    assert located(True) == (11, 0)
    assert located(False) == (11, 0)
    # The frame's time is that of its packet, wherever the grid is.
    assert bank.time_of(ROW, np.array([11]))[0] == pytest.approx((160 * 10 + 37) / 8000)


def test_frames_and_times_are_inverse() -> None:
    bank = opened()
    judge(bank, 0, 123)
    frames = np.arange(-5, 5)
    rows = np.zeros(10, dtype=np.intp)
    assert bank.frame_at(rows, bank.time_of(rows, frames)).tolist() == frames.tolist()
    assert bank.frame_at(rows, bank.time_of(rows, frames) + 0.0199).tolist() == frames.tolist()


def test_verdicts_can_be_chosen_from() -> None:
    verdict = judge(opened(), 3, 4)
    assert verdict.select(np.array([True])).sequence.tolist() == [3]
    assert verdict.select(np.array([False])).sequence.size == 0


def going_on(bank: RtpTimelineBank, came: ReceivedPackets, *, idle: bool = False) -> list[int]:
    """The places of what goes on, judged."""
    count = came.row.size
    claims = TimelineInput.from_packets(came, slice(count))
    expected, idling = np.zeros(count), np.full(count, idle)
    places = bank.find_continuing(came.row, claims, expected=expected, idle=idling)
    if places.size:
        rows = came.row[places]
        bank.judge_runs(rows, PacketRuns(rows), claims.select(places))
    return places.tolist()


def begun(rows: int = 1) -> RtpTimelineBank:
    """Rows that have heard the first packet of `talk`."""
    bank = RtpTimelineBank(rows)
    for row in range(rows):
        bank.open_row(row, clock_rate_hz=8000, frame_ticks=160, octets_per_tick=1)
    first = arrivals(np.arange(rows), talk(1) * rows)
    every = np.zeros(rows)
    claims = TimelineInput.from_packets(first, slice(rows))
    bank.judge_packets(np.arange(rows), claims, expected=every, idle=every > 0)
    return bank


@pytest.mark.parametrize("seed", range(20))
def test_runs_are_judged_as_one_packet_after_the_other(seed: int) -> None:
    generator = np.random.default_rng(seed)
    together, single = begun(3), begun(3)
    sent = talk(120)[1:]
    for _ in range(4):
        kept = [
            (row, sent[at] if generator.random() < 0.8 else replace(sent[at], size=0))
            for row in range(3)
            for at in np.sort(generator.integers(0, 118, 30)).tolist()
        ]
        came = arrivals([row for row, _ in kept], [packet for _, packet in kept])
        claims = TimelineInput.from_packets(came, slice(len(kept)))
        every = np.zeros(len(kept))
        places = together.find_continuing(came.row, claims, expected=every, idle=every > 0)
        rows = came.row[places]
        found = together.judge_runs(rows, PacketRuns(rows), claims.select(places))
        taken = 0
        for at, place in enumerate(places.tolist()):
            one = np.array([place])
            verdict = single.judge_packets(
                came.row[one], claims.select(one), expected=every[:1], idle=every[:1] > 0
            )
            taken += int(verdict.taken[0])
            for name in ("taken", "started", "forward", "sequence", "timestamp", "media_time"):
                assert getattr(verdict, name)[0] == getattr(found, name)[at], (name, at)
        assert taken == np.count_nonzero(found.taken)
    assert together.duplicates.tolist() == single.duplicates.tolist()
    assert together.duplicates.any()


def test_what_goes_on_is_given_by_row_and_in_order_of_sequence() -> None:
    packets = talk(6)
    came = arrivals([1, 0, 1, 0, 1], [packets[at] for at in (3, 2, 1, 1, 5)])
    assert going_on(begun(2), came) == [3, 1, 2, 0, 4]


@pytest.mark.parametrize(
    "jump",
    [
        {"ssrc": 9},
        {"timestamp": 160 * 400},
        {"timestamp": 160},
        {"sequence": 4000},
        {"sequence": -70, "timestamp": 160 * -70},
    ],
)
def test_it_ends_before_what_is_foreign(jump: dict[str, int]) -> None:
    packets = talk(8)[1:]
    packets[4] = replace(packets[4], **jump)
    assert going_on(begun(), arrivals(0, packets)) == [0, 1, 2, 3]


def test_after_a_stranger_only_the_rounds_know_how_it_goes_on() -> None:
    first, second, third = talk(4)[1:]
    stray = replace(second, ssrc=9, sequence=-5)
    assert going_on(begun(), arrivals(0, [first, stray, second, third])) == [0]


def test_a_backlog_of_more_than_a_second_is_no_jump() -> None:
    packets = [replace(packet, arrival=3.0) for packet in talk(151)[1:]]
    bank = begun()
    came = arrivals(0, packets)
    places = bank.find_continuing(
        came.row,
        TimelineInput.from_packets(came, slice(150)),
        expected=np.full(150, 2.98),
        idle=np.zeros(150, dtype=np.bool_),
    )
    assert places.size == 150


def test_an_idle_row_goes_on_until_its_first_new_sound() -> None:
    bank = begun()
    again = talk(1)
    digit = [replace(packet, size=0) for packet in talk(9)[2:]]
    sound = talk(14)[9:]
    assert going_on(bank, arrivals(0, [*again, *digit, *sound]), idle=True) == list(range(8))


def test_no_idle_row_goes_on_and_none_that_has_heard_nothing() -> None:
    came = arrivals(0, talk(4)[1:])
    assert going_on(begun(), came, idle=True) == []
    assert going_on(opened(), came) == []


def test_the_grid_moves_once_for_all_packets_of_a_row() -> None:
    bank = opened()
    judge(bank, 0, 0)
    timestamps = 160 * 10 + 40 + 160 * np.arange(3)
    rows = np.zeros(3, dtype=np.intp)
    frame, rest = bank.locate(rows, timestamps, np.array([True, False, False]))
    assert frame.tolist() == [11, 12, 13]
    assert rest.tolist() == [0, 0, 0]


def test_claims_are_those_of_the_arrivals() -> None:
    came = arrivals(0, [Sent(1.5, 70_000, 160, ssrc=4), Sent(1.6, 2, 320, size=0)])
    claims = TimelineInput.from_packets(came, slice(2))
    assert claims.sequence.tolist() == [70_000 - 65_536, 2]
    assert claims.sound.tolist() == [True, False]
    assert claims.select(np.array([1])).arrival.tolist() == [1.6]
