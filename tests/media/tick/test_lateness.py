"""The histogram of lateness."""

from __future__ import annotations

import numpy as np
import pytest

from softphone.media.tick import LatenessHistogram, LatenessNotice


def test_an_empty_histogram_says_nothing():
    seen = LatenessHistogram()
    assert seen.total == 0
    assert seen.share_above(5.0) == 0.0
    assert seen.quantile_ms(0.5) == 0.0


def test_quantiles_and_shares_are_those_of_what_was_counted():
    seen = LatenessHistogram()
    seen.count_packets(1.04, 90)
    seen.count_packets(6.0, 9)
    seen.count_packets(400.0, 1)
    assert seen.total == 100
    assert seen.quantile_ms(0.5) == pytest.approx(1.1)
    assert seen.quantile_ms(0.95) == pytest.approx(6.1)
    assert seen.quantile_ms(1.0) == 400.0
    assert seen.share_above(5.0) == pytest.approx(0.10)
    assert seen.share_above(25.0) == seen.share_above(400.0) == pytest.approx(0.01)
    assert seen.share_above(410.0) == 0.0
    assert seen.maximum_ms == 400.0


@pytest.mark.parametrize(
    ("late_ms", "end_ms"),
    [(24.95, 25.0), (25.2, 26.0), (180.0, 181.0), (315.0, 320.0), (4e3, 4.1e3)],
)
def test_what_is_later_than_a_frame_is_told_apart(late_ms, end_ms):
    seen = LatenessHistogram()
    seen.count_packets(late_ms, 9)
    seen.count_packets(1e6, 1)
    assert seen.quantile_ms(0.5) == pytest.approx(end_ms)
    assert seen.quantile_ms(1.0) == 1e6


def test_skipped_packets_are_as_late_as_their_skip():
    seen = LatenessHistogram()
    seen.count_packets(1.0, 6)
    seen.count_skipped(np.array([315.0, 215.0, 15.0]), np.array([0, 3, 1]))
    assert (seen.total, seen.maximum_ms) == (10, 215.0)
    assert seen.share_above(20.0) == pytest.approx(0.3)
    assert seen.share_above(5.0) == pytest.approx(0.4)


def test_a_packet_that_is_early_is_not_late_and_no_packets_move_nothing():
    seen = LatenessHistogram()
    seen.count_packets(-3.0, 2)
    seen.count_packets(50.0, 0)
    assert seen.counts[0] == 2
    assert seen.maximum_ms == 0.0
    seen.clear()
    assert seen.total == 0


def test_lateness_is_said_at_once_and_then_with_what_was_kept_back():
    notice = LatenessNotice(pause=60.0)
    assert notice.late(0.023, now=100.0) == "23 ms late"
    said = [notice.late(0.02 + n / 1000, now=101.0 + n) for n in range(20)]
    assert said == [""] * 20
    assert notice.late(0.03, now=160.0) == "up to 39 ms late, 21 times in 60 s"
    assert notice.late(0.05, now=219.9) == ""
    assert notice.late(0.02, now=400.0) == "up to 50 ms late, 2 times in 240 s"
    assert notice.late(0.02, now=1000.0) == "20 ms late"
