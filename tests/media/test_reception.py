"""Reception statistics of a bank; compared with the scalar ones in tests/rfc/test_rfc3550.py."""

from __future__ import annotations

import numpy as np

from softphone.media.reception import ReceptionBank


def opened(rows: int = 1) -> ReceptionBank:
    bank = ReceptionBank(rows)
    for row in range(rows):
        bank.open(row, clock_rate_hz=8000)
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
    report = bank.report(ROW)
    assert report.valid[0]
    assert report.ssrc[0] == 9
    assert report.highest_sequence[0] == 65_549
    assert report.cumulative_lost[0] == 0
    assert report.jitter[0] == 0


def test_loss_is_counted_in_all_and_by_interval() -> None:
    bank = opened()
    feed(bank, list(range(100)))
    bank.report(ROW)
    feed(bank, [number for number in range(100, 200) if number % 4])
    report = bank.report(ROW)
    assert (report.fraction_lost[0], report.cumulative_lost[0]) == (64, 25)
    assert bank.expected(slice(0, 1)).tolist() == [200]
    feed(bank, list(range(200, 300)))
    report = bank.report(ROW)
    assert (report.fraction_lost[0], report.cumulative_lost[0]) == (0, 25)


def test_duplicates_make_the_loss_negative() -> None:
    bank = opened()
    feed(bank, [1, 2, 2, 2])
    assert bank.cumulative_lost(ROW).tolist() == [-2]
    assert bank.report(ROW).fraction_lost[0] == 0


def test_one_wild_packet_changes_nothing() -> None:
    bank = opened()
    feed(bank, [1, 2, 30_000, 3])
    report = bank.report(ROW)
    assert report.highest_sequence[0] == 3
    assert report.cumulative_lost[0] == 0


def test_a_restart_is_believed_when_the_next_packet_confirms_it() -> None:
    bank = opened()
    feed(bank, [1, 2, 30_000, 30_001, 30_002])
    report = bank.report(ROW)
    assert report.highest_sequence[0] == 30_002
    assert report.cumulative_lost[0] == 0


def test_another_ssrc_starts_afresh() -> None:
    bank = opened()
    feed(bank, [1, 2, 5])
    feed(bank, [40_000, 40_001], ssrc=10)
    report = bank.report(ROW)
    assert report.ssrc[0] == 10
    assert report.cumulative_lost[0] == 0
    assert bank.received[0] == 5


def test_the_count_is_clamped_to_24_bits() -> None:
    bank = opened()
    bank._base[0] = 0
    feed(bank, [0])
    bank._highest[0] = 1 << 25
    assert bank.report(ROW).cumulative_lost[0] == (1 << 23) - 1


def test_rows_do_not_touch_one_another() -> None:
    bank = opened(3)
    feed(bank, [1, 2, 3], row=0)
    feed(bank, [7, 9], row=2)
    report = bank.report(np.arange(3, dtype=np.int32))
    assert report.valid.tolist() == [True, False, True]
    assert report.cumulative_lost.tolist() == [0, 0, 1]
    assert report.highest_sequence[[0, 2]].tolist() == [3, 9]


def test_an_opened_row_starts_afresh() -> None:
    bank = opened()
    feed(bank, [1, 2, 5])
    bank.open(0, clock_rate_hz=16_000)
    assert not bank.report(ROW).valid[0]
    feed(bank, [100])
    assert bank.cumulative_lost(ROW).tolist() == [0]


def test_an_empty_batch_is_nothing() -> None:
    bank = opened()
    feed(bank, [])
    assert bank.received[0] == 0
