"""The search: doubles, bisects, confirms, and says how sure it is."""

from __future__ import annotations

import random

import pytest

from softphone.load.capacity import CapacitySearch, Trial


def run(search, holds, *, most=200):
    """Run a search against a target that holds `holds(calls)`; gives what was tried."""
    tried = []
    while (calls := search.next) is not None:
        tried.append(calls)
        assert len(tried) < most, tried
        search.tell(Trial(calls, held=holds(calls), why="mos_p5>=4.0: 3.1"))
    return tried


def test_it_doubles_then_bisects_then_confirms():
    search = CapacitySearch(first=10, most=10_000, precision=0.05, confirm=3)
    tried = run(search, lambda calls: calls <= 480)
    assert tried[:7] == [10, 20, 40, 80, 160, 320, 640]
    assert tried[-3:] == [search.capacity] * 3 or tried[-2:] == [search.capacity] * 2
    assert 456 <= search.capacity <= 480 < search.limit
    assert search.confirmed
    assert search.confidence == 0.875
    assert "held 3 times out of 3" in search.sentence()
    assert "mos_p5" in search.sentence()


@pytest.mark.parametrize("true", [1, 2, 3, 7, 100, 999, 1000])
def test_it_finds_what_is_there_to_a_call_if_asked(true):
    search = CapacitySearch(first=8, most=1000, precision=0.0001, confirm=1)
    run(search, lambda calls: calls <= true)
    assert search.capacity == true


def test_a_target_that_is_never_full_is_said_to_hold_at_least_that():
    search = CapacitySearch(first=50, most=300, confirm=2)
    assert run(search, lambda calls: True) == [50, 100, 200, 300, 300]
    assert search.limit is None
    assert search.sentence().startswith("at least 300 calls")


def test_a_target_that_holds_nothing():
    search = CapacitySearch(first=4, most=100)
    assert run(search, lambda calls: False) == [4, 2, 1]
    assert search.capacity == 0
    assert not search.confirmed
    assert "not even" in search.sentence()


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


def test_a_generator_at_its_end_ends_the_search():
    search = CapacitySearch(first=10, most=1000, confirm=1)
    search.tell(Trial(10, held=True))
    search.tell(Trial(20, held=False, valid=False, why="the generator used 97% of a core"))
    assert search.next is None
    assert search.capacity == 10
    assert "generator" in search.sentence()
