"""Histograms: exact counts, quantiles within 0.1 %, and sums that are those of the whole."""

from __future__ import annotations

import json
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softphone.load.measure import Histogram


def filled(values, unit=0.1):
    histogram = Histogram(unit)
    for value in values:
        histogram.record_value(value)
    return histogram


def true_quantile(values, share):
    ordered = sorted(values)
    return ordered[max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1)]


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95, 0.99, 0.999])
def test_a_quantile_is_within_a_thousandth_of_the_true_one(share):
    chance = random.Random(5)
    values = [chance.lognormvariate(4, 2) for _ in range(5000)]
    found = filled(values).quantile(share)
    assert found == pytest.approx(true_quantile(values, share), rel=0.001, abs=0.1)


@given(st.lists(st.floats(0, 1e9)), st.lists(st.floats(0, 1e9)))
def test_two_histograms_add_up_to_that_of_all_values(left, right):
    merged = filled(left)
    merged.merge(filled(right))
    whole = filled(left + right)
    assert [merged.quantile(q) for q in (0.1, 0.5, 0.9)] == [
        whole.quantile(q) for q in (0.1, 0.5, 0.9)
    ]
    assert merged.total == whole.total
    assert merged.sum == pytest.approx(whole.sum)


@given(st.lists(st.floats(0, 1e9)))
def test_it_goes_through_json_and_comes_back(values):
    before = filled(values)
    after = Histogram.from_plain(json.loads(json.dumps(before.to_plain())))
    assert after.to_plain() == before.to_plain()
    assert after.quantile(0.5) == before.quantile(0.5)


def test_quantiles_are_not_averages_of_quantiles():
    slow, fast = filled([1000.0] * 10), filled([1.0] * 990)
    slow.merge(fast)
    assert slow.quantile(0.95) == pytest.approx(1.0, abs=0.1)
    assert slow.quantile(0.999) == pytest.approx(1000.0, rel=0.001)


def test_nothing_counted_is_nothing_known():
    empty = Histogram(0.1)
    assert empty.quantile(0.5) is None
    assert empty.mean is None
    assert empty.share_above(1.0) == 0.0
    empty.merge(Histogram(0.1))
    assert empty.total == 0


def test_shares_above_a_bound():
    histogram = filled([1.0] * 98 + [30.0, 40.0])
    assert histogram.share_above(20.0) == 0.02
    assert histogram.share_above(50.0) == 0.0


def test_a_value_below_zero_counts_as_zero_and_counts_may_be_many():
    histogram = Histogram(1.0)
    histogram.record_value(-3.0)
    histogram.record_value(4.0, 3)
    assert (histogram.total, histogram.quantile(0.25), histogram.quantile(1.0)) == (4, 0.0, 4.0)
    assert histogram.mean == 3.0


def test_units_do_not_mix():
    with pytest.raises(ValueError, match="merge"):
        Histogram(0.1).merge(Histogram(1.0))


def test_the_deviation_is_that_of_the_values():
    values = [0.0, 0.0, 2.5, 10.0, 12.5]
    histogram = Histogram(0.001)
    assert histogram.deviation == 0.0
    for value in values:
        histogram.record_value(value)
    assert histogram.deviation == pytest.approx(statistics.stdev(values), rel=1e-3)


def test_counts_up_to_bounds_are_those_of_the_values():
    histogram = filled([0.0, 4.9, 5.0, 5.1, 20.0, 900.0])
    assert histogram.counts_up_to([1.0, 5.0, 20.0, 100.0, 1000.0]) == [1, 3, 5, 5, 6]
    assert filled([]).counts_up_to([1.0, 5.0]) == [0, 0]
