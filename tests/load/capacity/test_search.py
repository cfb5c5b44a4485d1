"""The search: doubles, bisects, confirms, and says how sure it is."""

from __future__ import annotations

import random

import pytest

from softphone.load.capacity import CapacitySearch, CapacityTrial


def run(search, holds, *, most=200):
    """Run a search against a target that holds `holds(calls)`; gives what was tried."""
    tried = []
    while (calls := search.next_calls) is not None:
        tried.append(calls)
        assert len(tried) < most, tried
        search.add_trial(CapacityTrial(calls, held=holds(calls), why="mos_p5>=4.0: 3.1"))
    return tried


def test_it_doubles_then_bisects_then_confirms():
    search = CapacitySearch(first=10, most=10_000, precision=0.05, confirm=3)
    tried = run(search, lambda calls: calls <= 480)
    assert tried[:7] == [10, 20, 40, 80, 160, 320, 640]
    assert tried[-3:] == [search.capacity] * 3 or tried[-2:] == [search.capacity] * 2
    assert 456 <= search.capacity <= 480 < search.limit
    assert search.confirmed
    assert search.confidence == 0.875
    assert "held 3 times out of 3" in search.outcome_text()
    assert "mos_p5" in search.outcome_text()


@pytest.mark.parametrize("true", [1, 2, 3, 7, 100, 999, 1000])
def test_it_finds_what_is_there_to_a_call_if_asked(true):
    search = CapacitySearch(first=8, most=1000, precision=0.0001, confirm=1)
    run(search, lambda calls: calls <= true)
    assert search.capacity == true


def test_a_target_that_is_never_full_is_said_to_hold_at_least_that():
    search = CapacitySearch(first=50, most=300, confirm=2)
    assert run(search, lambda calls: True) == [50, 100, 200, 300, 300]
    assert search.limit is None
    assert search.outcome_text().startswith("at least 300 calls")


def test_a_target_that_holds_nothing():
    search = CapacitySearch(first=4, most=100)
    assert run(search, lambda calls: False) == [4, 2, 1]
    assert search.capacity == 0
    assert not search.confirmed
    assert search.outcome_text() == "not even 1 call is held: mos_p5>=4.0: 3.1"


def test_one_call_that_held_once_and_then_not_says_why_not():
    search = CapacitySearch(first=1, most=4, confirm=2)
    search.add_trial(CapacityTrial(1, True))
    while (calls := search.next_calls) is not None:
        search.add_trial(CapacityTrial(calls, False, why="late packets"))
    assert search.outcome_text() == "not even 1 call is held: late packets"


def test_a_number_that_fails_when_confirmed_is_ruled_out():
    answers = {80: iter([True, False])}
    search = CapacitySearch(first=40, most=80, precision=0.02, confirm=2)
    run(search, lambda calls: next(answers[calls]) if calls in answers else calls < 75)
    assert search.limit == 75
    assert 73 <= search.capacity < 75


def test_a_target_on_the_edge_never_counts_as_held_what_it_refused_once():
    chance = random.Random(3)
    search = CapacitySearch(first=10, most=1000, confirm=3)
    run(search, lambda calls: chance.random() > (calls - 300) / 100)
    refused = {trial.calls for trial in search.trials if not trial.held}
    assert search.capacity not in refused
    assert search.confirmed


BUSY = "the generator used 97% of a core"


def test_a_number_that_cannot_be_judged_is_tried_again_once():
    search = CapacitySearch(first=10, most=20, confirm=1)
    search.add_trial(CapacityTrial(10, held=True))
    search.add_trial(CapacityTrial(20, held=False, valid=False, why=BUSY))
    assert search.next_calls == 20
    search.add_trial(CapacityTrial(20, held=True))
    assert (search.next_calls, search.unjudged_trial, search.capacity) == (None, None, 20)


def test_a_generator_at_its_end_gives_the_lower_bound_that_it_can():
    search = CapacitySearch(first=10, most=1000, precision=0.05, confirm=2)
    tried = []
    while (calls := search.next_calls) is not None:
        tried.append(calls)
        valid = calls <= 133
        search.add_trial(CapacityTrial(calls, held=valid, valid=valid, why="" if valid else BUSY))
    assert tried[:7] == [10, 20, 40, 80, 160, 160, 120]
    assert 126 <= search.capacity <= 133 < search.unjudged_trial.calls
    assert search.confirmed
    assert search.limit is None
    assert search.outcome_text().startswith(f"at least {search.capacity} calls, held 2 times")
    assert BUSY in search.outcome_text()


def test_what_is_above_a_number_that_was_refused_is_no_bound():
    search = CapacitySearch(first=10, most=1000)
    for _ in range(2):
        search.add_trial(CapacityTrial(20, held=False, valid=False, why=BUSY))
    search.add_trial(CapacityTrial(10, held=False, why="mos_p5>=4.0: 3.1"))
    assert (search.unjudged_trial, search.limit) == (None, 10)


def test_a_run_that_was_no_measurement_does_not_say_why_the_target_was_full():
    search = CapacitySearch(first=10, most=20, precision=0.9, confirm=1)
    search.add_trial(CapacityTrial(10, held=True))
    search.add_trial(CapacityTrial(20, held=False, valid=False, why=BUSY))
    search.add_trial(CapacityTrial(20, held=False, why="mos_p5>=4.0: 3.1"))
    assert search.outcome_text().endswith("20 are not: mos_p5>=4.0: 3.1")
    search = CapacitySearch(first=1, most=20)
    search.add_trial(CapacityTrial(1, held=False, valid=False, why=BUSY))
    search.add_trial(CapacityTrial(1, held=False, why="mos_p5>=4.0: 3.1"))
    assert search.outcome_text() == "not even 1 call is held: mos_p5>=4.0: 3.1"


def test_a_broken_scenario_is_not_told_as_a_generator_at_its_end():
    search = CapacitySearch(first=10, most=20)
    for _ in range(2):
        search.add_trial(
            CapacityTrial(10, held=False, valid=False, why="the scenario is to be mended")
        )
    assert search.outcome_text() == (
        "nothing is known: 10 calls could not be judged, since the run was invalid: "
        "the scenario is to be mended"
    )


def test_one_that_is_interrupted_ends_with_what_it_has():
    search = CapacitySearch(first=10, most=1000)
    search.add_trial(CapacityTrial(10, held=True))
    search.add_trial(
        CapacityTrial(20, held=False, valid=False, why="interrupted", interrupted=True)
    )
    assert search.next_calls is None
    assert search.interrupted
    assert search.outcome_text() == "interrupted: 10 calls were held 1 times until then"
