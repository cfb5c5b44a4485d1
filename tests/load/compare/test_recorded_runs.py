"""Recorded runs of a lab and of one that a commit made slower: the rule finds it, and only it.

`bench/load/bench_planted_regression.py --record` made them, three of each, in turns: `before` and
`same` are of one commit, `slower` takes 10 ms more for each INVITE.
"""

from __future__ import annotations

from functools import cache
from itertools import product
from pathlib import Path

import pytest

from softphone.load.compare import RunRecord, compare_runs, judge_changes, parse_rule, read_runs
from softphone.load.design_effect import DesignEffect
from softphone.load.plan import parse_figure

RUNS = Path(__file__).parents[2] / "data" / "load" / "planted"


@cache
def side(name):
    return read_runs(RUNS / name)


def broken(before, after):
    """The figures that break the rule `regression`."""
    verdicts = judge_changes(compare_runs(before, after), [parse_rule("regression")])
    assert any(verdict.judged for verdict in verdicts)
    return {verdict.expected.split()[0] for verdict in verdicts if verdict.broken}


def test_three_runs_of_each_say_that_the_same_commit_is_the_same():
    assert broken(side("before"), side("same")) == set()
    assert broken(side("same"), side("before")) == set()


def test_three_runs_of_each_say_that_the_slower_commit_is_slower():
    assert {"setup_p50", "setup_p95"} <= broken(side("before"), side("slower"))


def test_a_single_run_is_judged_against_three_earlier_ones():
    for run in side("same").runs:
        assert broken(side("before"), run) == set()
    for run in side("slower").runs:
        assert "setup_p50" in broken(side("before"), run)


@pytest.mark.parametrize("name", ["same", "slower"])
def test_single_runs_are_judged_by_the_calls_within_them(name):
    """One run says nothing of how much runs differ: only large changes of times count."""
    found = [broken(one, other) for one, other in product(side("before").runs, side(name).runs)]
    if name == "slower":
        assert all("setup_p50" in each for each in found)
    else:
        assert not any(found)


def test_with_each_call_by_itself_the_same_commit_had_another_jitter():
    """The reason for the design effects, in the same runs: they are taken away."""
    jitter = parse_figure("jitter_p95")

    def apart(run):
        effects = {label: DesignEffect(10, 1.0) for label in run.effects}
        return RunRecord(run.name, run.tally, run.plan, effects=effects)

    def changed(one, other):
        change = compare_runs(one, other).of(jitter)
        return change.low is not None and not change.low <= 0.0 <= change.high

    pairs = list(product(side("before").runs, side("same").runs))
    assert sum(changed(apart(one), apart(other)) for one, other in pairs) >= 5
    assert sum(changed(one, other) for one, other in pairs) == 0
