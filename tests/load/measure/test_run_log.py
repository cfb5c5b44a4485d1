"""A run of days is kept as intervals of one length."""

from __future__ import annotations

import pytest

from softphone.load.charts import run_point
from softphone.load.measure import RunLog, RunSecond, Tally
from softphone.load.measure.run_log import MOST_KEPT


def seconds(count: int) -> list[RunSecond]:
    return [
        RunSecond(float(at), up=at, peak=at + 1, tally=Tally(attempted=at, answered=3), cpu=0.5)
        for at in range(1, count + 1)
    ]


def figures(second: RunSecond) -> tuple[float, ...]:
    return second.at, second.up, second.peak, second.length, second.tally.attempted, second.cpu


@pytest.mark.parametrize("count", [1, MOST_KEPT - 1, MOST_KEPT, MOST_KEPT + 1, 5000, 5003])
def test_intervals_have_one_length_and_miss_nothing(count):
    log, given = RunLog(), seconds(count)
    for second in given:
        log.add_second(second)
    kept = log.intervals
    assert len(kept) <= MOST_KEPT
    *whole, last = (each.length for each in kept)
    assert len(set(whole)) <= 1
    assert all(last <= each for each in whole)
    assert sum(whole) + last == count
    assert sum(each.tally.attempted for each in kept) == count * (count + 1) // 2
    assert kept[-1].at == kept[-1].up == count
    assert max(each.peak for each in kept) == count + 1
    assert [each.at for each in kept] == sorted(each.at for each in kept)


def test_the_seconds_that_it_is_given_stay_as_they_are():
    log, given = RunLog(), seconds(2000)
    for second in given:
        log.add_second(second)
    assert [figures(each) for each in given] == [figures(each) for each in seconds(2000)]


def test_a_chart_of_joined_seconds_shows_what_one_second_had():
    log = RunLog()
    for second in seconds(2000):
        log.add_second(second)
    assert {run_point(each)["answered"] for each in log.intervals} == {3.0}


def test_what_is_kept_of_an_hour_is_small_and_whole():
    log, count = RunLog(), 6 * MOST_KEPT + 7
    for at in range(1, count + 1):
        second = RunSecond(float(at), up=100, peak=100, tally=Tally(answered=100))
        second.tally.ended["us"] = 100
        for number in range(100):
            second.tally.setup_ms.record_value(4.0 + (number * at) % 37 / 10)
        second.mos_now.record_value(4.3 + at % 7 / 100)
        log.add_second(second)
    assert sum(map(len, log._kept)) < MOST_KEPT * 2500
    kept = log.intervals
    assert sum(each.tally.ended["us"] for each in kept) == 100 * count
    assert sum(each.tally.setup_ms.total for each in kept) == 100 * count
    assert sum(each.mos_now.total for each in kept) == count
    assert [figures(each) for each in log.intervals] == [figures(each) for each in kept]
