"""The capacity with its interval: trials repeated about it, and a curve through all of them."""

from __future__ import annotations

import math
import random

import pytest

from softphone.load.capacity import CapacitySearch, CapacityTrial, capacity_interval


def target(true, width, seed):
    """A target that holds a number of calls with a chance: half at `true`, by a logistic curve."""
    chance = random.Random(seed)

    def holds(calls):
        return chance.random() < 1.0 / (1.0 + math.exp(math.log(calls / true) / width))

    return holds


def searched(holds, *, repeat=20, **settings):
    search = CapacitySearch(first=10, most=10_000, repeat=repeat, **settings)
    while (calls := search.next_calls) is not None:
        search.add_trial(CapacityTrial(calls, held=holds(calls), why="mos_p5>=4.0: 3.1"))
    return search


@pytest.mark.parametrize("width", [0.02, 0.15])
def test_the_interval_holds_the_capacity_in_about_95_of_100_searches(width):
    """Of 50 searches 43 or more do, but for chance once in 100 times."""
    found = [searched(target(480, width, seed)).interval for seed in range(50)]
    assert sum(each.low <= 480 <= each.high for each in found) >= 43


def test_more_trials_make_it_shorter():
    def length(repeat):
        found = [searched(target(480, 0.1, n), repeat=repeat).interval for n in range(10)]
        return sum(each.high - each.low for each in found)

    assert length(60) < 0.8 * length(10)


def test_trials_go_up_and_down_about_what_was_found():
    search = searched(lambda calls: calls <= 480, repeat=8, precision=0.05)
    found = searched(lambda calls: calls <= 480, repeat=0)
    assert (search.trials, search.capacity, search.limit) == (
        found.trials,
        found.capacity,
        found.limit,
    )
    numbers = [trial.calls for trial in search.repeats]
    assert len(numbers) == 8
    assert search.capacity <= numbers[0] <= search.limit
    for before, after in zip(search.repeats, search.repeats[1:], strict=False):
        step = after.calls / before.calls
        assert step == pytest.approx(1.1 if before.held else 1 / 1.1, rel=0.01)
    assert search.interval.low <= 480 <= search.interval.high
    assert search.interval.trials == len(search.trials) + 8
    assert search.whole_text() == f"{search.outcome_text()}; {search.interval_text()}"
    assert f"half of all trials hold {search.interval.calls} calls (95 %: " in search.whole_text()
    summary = search.summary()
    assert (summary["repeats"], len(summary["trials"])) == (8, search.interval.trials)
    assert summary["interval"]["low"] == search.interval.low


def test_of_few_calls_each_step_is_a_whole_call():
    search = searched(lambda calls: calls <= 3, repeat=6)
    numbers = {trial.calls for trial in search.repeats}
    assert numbers == {3, 4}
    assert search.interval.low <= 3 < search.interval.high


def test_without_repeated_trials_the_interval_is_said_to_be_unknown():
    search = searched(lambda calls: calls <= 480, repeat=0)
    assert search.interval is None
    assert search.summary()["interval"] is None
    assert search.whole_text().endswith(
        "; its interval is unknown: that takes trials repeated about a limit"
    )


@pytest.mark.parametrize("holds", [lambda calls: True, lambda calls: False])
def test_without_a_limit_or_a_capacity_nothing_is_repeated(holds):
    search = CapacitySearch(first=10, most=40, repeat=5)
    while (calls := search.next_calls) is not None:
        search.add_trial(CapacityTrial(calls, held=holds(calls), why="mos_p5>=4.0: 3.1"))
    assert search.repeats == []
    assert search.interval is None
    assert search.whole_text().count("unknown") == bool(search.capacity)


def until_repeats(repeat):
    search = CapacitySearch(first=10, most=100, confirm=1, precision=0.5, repeat=repeat)
    search.add_trial(CapacityTrial(10, held=True))
    search.add_trial(CapacityTrial(20, held=False, why="mos_p5>=4.0: 3.1"))
    assert search.next_calls == 14
    return search


def test_repeats_that_cannot_be_judged_are_bounded_and_count_for_nothing():
    search = until_repeats(3)
    for _ in range(6):
        assert search.next_calls == 14
        search.add_trial(CapacityTrial(14, held=False, valid=False, why="busy"))
    assert search.next_calls is None
    assert search.interval is None
    assert search.unjudged_trial is None
    assert search.capacity == 10


def test_an_interruption_ends_the_repeats():
    search = until_repeats(3)
    search.add_trial(
        CapacityTrial(14, held=False, valid=False, why="interrupted", interrupted=True)
    )
    assert search.next_calls is None
    assert search.interrupted


def test_a_curve_by_hand():
    """All below held and none above: the capacity is between, as likely nearer to either."""
    found = capacity_interval([(100, True), (121, False)] * 10)
    assert found.calls == pytest.approx(110, abs=1)
    assert 95 <= found.low < 110 < found.high <= 127
    wide = capacity_interval([(100, True)])
    assert (wide.low > 50, wide.high >= 190) == (True, True)
