"""Reception statistics of a bank; compared with the scalar ones in tests/rfc/test_rfc3550.py,
and here where many packets of a row come at once."""

from __future__ import annotations

import numpy as np
import pytest

from softphone.media.bank.reception import ReceptionBank
from softphone.media.playout.batch_rounds import MOST_ROUNDS
from softphone.rtp import ReceptionStatistics


def opened(rows: int = 1) -> ReceptionBank:
    bank = ReceptionBank(rows)
    for row in range(rows):
        bank.open_row(row, clock_rate_hz=8000)
    return bank


def feed(bank: ReceptionBank, numbers: list[int], *, row: int = 0, ssrc: int = 9) -> None:
    """Packets of 20 ms with these sequence numbers, in one batch."""
    count = len(numbers)
    bank.update(
        np.full(count, row, dtype=np.int32),
        np.array([number % (1 << 16) for number in numbers], dtype=np.uint16),
        np.array([number * 160 % (1 << 32) for number in numbers], dtype=np.uint32),
        np.full(count, ssrc, dtype=np.uint32),
        np.array([0.02 * number for number in numbers]),
    )


ROW = np.array([0], dtype=np.int32)


def test_several_packets_of_a_row_in_one_batch_are_taken_in_order() -> None:
    bank = opened()
    feed(bank, list(range(65_530, 65_550)))
    report = bank.report_block(0)
    assert report.ssrc == 9
    assert report.highest_sequence == 65_549
    assert report.cumulative_lost == 0
    assert report.jitter == 0


def test_loss_is_counted_in_all_and_by_interval() -> None:
    bank = opened()
    feed(bank, list(range(100)))
    bank.report_block(0)
    feed(bank, [number for number in range(100, 200) if number % 4])
    report = bank.report_block(0)
    assert (report.fraction_lost, report.cumulative_lost) == (64, 25)
    assert bank.expected(slice(0, 1)).tolist() == [200]
    assert bank.row_numbers(0) == (200, 25)
    feed(bank, list(range(200, 300)))
    report = bank.report_block(0)
    assert (report.fraction_lost, report.cumulative_lost) == (0, 25)


def test_duplicates_make_the_loss_negative() -> None:
    bank = opened()
    feed(bank, [1, 2, 2, 2])
    assert bank.cumulative_lost(ROW).tolist() == [-2]
    assert bank.report_block(0).fraction_lost == 0


def test_one_wild_packet_changes_nothing() -> None:
    bank = opened()
    feed(bank, [1, 2, 30_000, 3])
    report = bank.report_block(0)
    assert report.highest_sequence == 3
    assert report.cumulative_lost == 0


def test_a_restart_is_believed_when_the_next_packet_confirms_it() -> None:
    bank = opened()
    feed(bank, [1, 2, 30_000, 30_001, 30_002])
    report = bank.report_block(0)
    assert report.highest_sequence == 30_002
    assert report.cumulative_lost == 0


@pytest.mark.parametrize("beside", [[], [7]])
def test_a_restart_is_confirmed_whatever_comes_for_other_rows_meanwhile(beside: list[int]) -> None:
    """RFC 3550 appendix A.1 forgets bad_seq for no packet but one that starts the source anew."""
    bank = opened(2)
    feed(bank, [1, 2], row=0)
    feed(bank, [5, 6], row=1)
    feed(bank, [30_000], row=0)
    numbers = [3, *(40_000 for _ in beside)]
    rows = np.arange(len(numbers), dtype=np.int32)
    bank.update(
        rows,
        np.array(numbers, dtype=np.uint16),
        np.array(numbers, dtype=np.uint32) * 160,
        np.full(len(numbers), 9, dtype=np.uint32),
        0.02 * np.array(numbers),
    )
    feed(bank, [30_001], row=0)
    report = bank.report_block(0)
    assert (report.highest_sequence, report.cumulative_lost) == (30_001, 0)


def test_another_ssrc_starts_afresh() -> None:
    bank = opened()
    feed(bank, [1, 2, 5])
    feed(bank, [40_000, 40_001], ssrc=10)
    report = bank.report_block(0)
    assert report.ssrc == 10
    assert report.cumulative_lost == 0
    assert bank.received[0] == 5


def test_the_count_is_clamped_to_24_bits() -> None:
    bank = opened()
    bank._base[0] = 0
    feed(bank, [0])
    bank._highest[0] = 1 << 25
    assert bank.report_block(0).cumulative_lost == (1 << 23) - 1


def test_rows_do_not_touch_one_another() -> None:
    bank = opened(3)
    feed(bank, [1, 2, 3], row=0)
    feed(bank, [7, 9], row=2)
    first, second, third = (bank.report_block(row) for row in range(3))
    assert second is None
    assert (first.cumulative_lost, third.cumulative_lost) == (0, 1)
    assert (first.highest_sequence, third.highest_sequence) == (3, 9)


def test_an_opened_row_starts_afresh() -> None:
    bank = opened()
    feed(bank, [1, 2, 5])
    bank.open_row(0, clock_rate_hz=16_000)
    assert bank.report_block(0) is None
    feed(bank, [100])
    assert bank.cumulative_lost(ROW).tolist() == [0]


def test_an_empty_batch_is_nothing() -> None:
    bank = opened()
    feed(bank, [])
    assert bank.received[0] == 0


@pytest.mark.parametrize("seed", range(10))
def test_a_backlog_counts_as_its_packets_one_by_one(seed: int) -> None:
    generator = np.random.default_rng(seed)
    single = [ReceptionStatistics(clock_rate_hz=8000, trusted=True) for _ in range(4)]
    bank = opened(4)
    for batch in range(12):
        rows, numbers = [], []
        for row in range(4):
            # Lost, doubled and out of order.
            come = 65_400 + 50 * batch + generator.integers(0, 50, generator.integers(1, 40))
            rows += [row] * come.size
            numbers += come.tolist()
        shuffled = generator.permutation(len(rows))
        row_of, number = np.array(rows)[shuffled], np.array(numbers)[shuffled]
        arrival = float(batch) + np.sort(generator.random(len(rows)) * 0.01)
        bank.update(
            row_of,
            (number % (1 << 16)).astype(np.uint16),
            (number * 160).astype(np.uint32),
            np.full(number.size, 9, dtype=np.uint32),
            arrival,
        )
        for row, given, came in zip(
            row_of.tolist(), number.tolist(), arrival.tolist(), strict=True
        ):
            single[row].record_packet(given % (1 << 16), given * 160, now=came)
    for row, reception in enumerate(single):
        block, report = bank.report_block(row), reception.report()
        assert block.highest_sequence == report.highest_sequence
        assert block.cumulative_lost == report.cumulative_lost
        assert bank.jitter[row] == pytest.approx(reception.jitter)


def test_a_source_that_changes_with_every_packet_is_not_followed_for_ever() -> None:
    bank = opened()
    count = 100
    bank.update(
        np.zeros(count, dtype=np.intp),
        np.arange(count, dtype=np.uint16),
        np.arange(count, dtype=np.uint32),
        np.arange(count, dtype=np.uint32),
        np.zeros(count),
    )
    assert bank.ssrc[0] == MOST_ROUNDS - 1
    assert bank.received[0] == count
