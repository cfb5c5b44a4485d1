"""Reception of one source; RFC 3550's own numbers are in tests/rfc/test_rfc3550.py."""

from __future__ import annotations

import pytest

from softphone.rtp import ReceptionStatistics, SequenceStatus, extend


@pytest.mark.parametrize(
    ("value", "reference", "expected"),
    [(5, 3, 5), (1, 65535, 65537), (65535, 65537, 65535), (0, 0, 0), (65530, 131080, 131066)],
)
def test_a_number_is_extended_to_the_nearest(value: int, reference: int, expected: int) -> None:
    assert extend(value, reference, 16) == expected


def feed(reception: ReceptionStatistics, numbers: list[int]) -> list[SequenceStatus]:
    return [
        reception.record_packet(number % 65536, number * 160 % (1 << 32), now=number * 0.02)
        for number in numbers
    ]


def test_a_source_is_valid_after_two_packets_in_sequence() -> None:
    reception = ReceptionStatistics(clock_rate_hz=8000)
    assert feed(reception, [10, 12, 13]) == [
        SequenceStatus.PROBATION,
        SequenceStatus.PROBATION,
        SequenceStatus.VALID,
    ]
    assert reception.valid
    assert reception.received == 1
    assert reception.base_sequence == 13


def test_a_trusted_source_is_valid_at_once() -> None:
    reception = ReceptionStatistics(clock_rate_hz=8000, trusted=True)
    assert feed(reception, [10]) == [SequenceStatus.VALID]


def test_the_wrap_of_the_sequence_counts_on() -> None:
    reception = ReceptionStatistics(clock_rate_hz=8000, trusted=True)
    feed(reception, list(range(65530, 65560)))
    assert reception.highest_sequence == 65559
    assert reception.cumulative_lost == 0


def test_a_packet_out_of_order_is_no_loss() -> None:
    reception = ReceptionStatistics(clock_rate_hz=8000, trusted=True)
    assert feed(reception, [1, 2, 4])[-1] is SequenceStatus.VALID
    assert reception.cumulative_lost == 1
    assert feed(reception, [3]) == [SequenceStatus.REORDERED]
    assert reception.cumulative_lost == 0


def test_a_duplicate_makes_the_loss_negative() -> None:
    reception = ReceptionStatistics(clock_rate_hz=8000, trusted=True)
    feed(reception, [1, 2, 2])
    assert reception.cumulative_lost == -1


def test_one_stray_packet_changes_nothing() -> None:
    reception = ReceptionStatistics(clock_rate_hz=8000, trusted=True)
    feed(reception, [1, 2])
    assert feed(reception, [30000]) == [SequenceStatus.SUSPECT]
    assert feed(reception, [3]) == [SequenceStatus.VALID]
    assert reception.highest_sequence == 3


def test_a_large_jump_is_a_restart_when_the_next_packet_confirms_it() -> None:
    reception = ReceptionStatistics(clock_rate_hz=8000, trusted=True)
    feed(reception, [1, 2])
    assert feed(reception, [30000, 30001]) == [SequenceStatus.SUSPECT, SequenceStatus.RESTARTED]
    assert reception.expected == 1
    assert reception.received == 1


def test_the_fraction_is_that_of_the_interval() -> None:
    reception = ReceptionStatistics(clock_rate_hz=8000, trusted=True)
    feed(reception, list(range(100)))
    assert reception.report().fraction_lost == 0
    feed(reception, [number for number in range(100, 200) if number % 4])
    assert reception.report().fraction_lost == 64
    feed(reception, list(range(200, 300)))
    last = reception.report()
    assert (last.fraction_lost, last.cumulative_lost) == (0, 25)


def test_steady_packets_have_no_jitter() -> None:
    reception = ReceptionStatistics(clock_rate_hz=8000, trusted=True)
    feed(reception, list(range(65400, 65700)))
    assert reception.report().jitter == 0


def test_the_wrap_of_the_timestamp_is_no_jitter() -> None:
    reception = ReceptionStatistics(clock_rate_hz=8000, trusted=True)
    for number in range(10):
        timestamp = (0xFFFFFD80 + number * 160) % (1 << 32)
        reception.record_packet(number, timestamp, now=number * 0.02)
    assert reception.jitter == pytest.approx(0.0, abs=1e-6)


def test_nothing_received_reports_nothing() -> None:
    report = ReceptionStatistics(clock_rate_hz=8000).report()
    assert (report.fraction_lost, report.cumulative_lost, report.jitter) == (0, 0, 0)
