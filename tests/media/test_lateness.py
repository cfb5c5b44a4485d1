"""The histogram of lateness."""

from __future__ import annotations

import pytest

from softphone.media.lateness import LatenessHistogram


def test_an_empty_histogram_says_nothing():
    seen = LatenessHistogram()
    assert seen.total == 0
    assert seen.share_above(5.0) == 0.0
    assert seen.quantile_ms(0.5) == 0.0


def test_quantiles_and_shares_are_those_of_what_was_counted():
    seen = LatenessHistogram()
    seen.add(1.04, 90)
    seen.add(6.0, 9)
    seen.add(400.0, 1)
    assert seen.total == 100
    assert seen.quantile_ms(0.5) == pytest.approx(1.1)
    assert seen.quantile_ms(0.95) == pytest.approx(6.1)
    assert seen.quantile_ms(1.0) == 400.0
    assert seen.share_above(5.0) == pytest.approx(0.10)
    assert seen.share_above(25.0) == pytest.approx(0.01)
    assert seen.maximum_ms == 400.0


def test_a_packet_that_is_early_is_not_late_and_no_packets_move_nothing():
    seen = LatenessHistogram()
    seen.add(-3.0, 2)
    seen.add(50.0, 0)
    assert seen.counts[0] == 2
    assert seen.maximum_ms == 0.0
    seen.clear()
    assert seen.total == 0
