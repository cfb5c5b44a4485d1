"""Extended numbers, frames and the grid of a bank's RTP clocks."""

from __future__ import annotations

import numpy as np
import pytest

from softphone.media.timeline import Claims, TimelineBank, Verdicts

ROW = np.array([0])


def opened() -> TimelineBank:
    bank = TimelineBank(1)
    bank.open(0, clock_rate_hz=8000, frame_ticks=160, octets_per_tick=1)
    return bank


def judge(
    bank: TimelineBank,
    sequence: int,
    timestamp: int,
    *,
    ssrc: int = 1,
    arrival: float = 0.0,
    expected: float = 0.0,
    idle: bool = False,
    sound: bool = True,
) -> Verdicts:
    claims = Claims(
        np.array([sequence % (1 << 16)], dtype=np.uint16),
        np.array([timestamp % (1 << 32)], dtype=np.uint32),
        np.array([ssrc], dtype=np.uint32),
        np.array([arrival]),
        np.array([sound]),
    )
    return bank.judge(ROW, claims, expected=np.array([expected]), idle=np.array([idle]))


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
