"""Intervals of changes: calls that are alike count as fewer, and several runs as one value each."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from softphone.errors import ConfigurationError
from softphone.load.compare import Change, RunRecord, compare_runs, read_runs
from softphone.load.compare.interval import (
    ALIKE,
    FEW_SECONDS,
    FEW_VALUES,
    change_interval,
    quantile_draws,
)
from softphone.load.design_effect import MOST_BLOCKS, DesignEffect, design_effects, effect_of
from softphone.load.measure import Histogram, RunSecond, Tally
from softphone.load.plan import parse_figure
from tests.load.compare.runs import record, write_run

P50, P95 = parse_figure("jitter_p50"), parse_figure("jitter_p95")


def alike(seed, *, seconds=60, rate=10, correlation=0.5, persistence=0.5, times=1.0):
    """A run whose calls of one second are correlated, and whose seconds follow each other.

    The logarithm of jitter is normal: `correlation` of its variance is that of the seconds, of
    which one keeps `persistence` of the one before.
    """
    generator = np.random.default_rng(seed)
    level = generator.normal()
    run = []
    for at in range(seconds):
        level = persistence * level + np.sqrt(1 - persistence**2) * generator.normal()
        own = generator.normal(size=rate)
        tally = Tally(attempted=rate, answered=rate)
        for value in np.sqrt(correlation) * level + np.sqrt(1 - correlation) * own:
            tally.jitter_ms.record_value(times * 2.0 * np.exp(0.3 * value))
        run.append(RunSecond(at + 1.0, tally=tally))
    return run


def recorded(run, name="run"):
    total = Tally()
    for second in run:
        total.merge(second.tally)
    return RunRecord(name, total, effects=design_effects(run))


PAIRS = 80


@cache
def same_things(correlation, persistence):
    """Pairs of runs of one thing."""
    seeds = ((2 * seed, 2 * seed + 1) for seed in range(PAIRS))
    settings = {"correlation": correlation, "persistence": persistence}
    return [[recorded(alike(seed, **settings)) for seed in pair] for pair in seeds]


def false_alarms(pairs, figure):
    """The share of comparisons of the same thing that find a change."""
    found = 0
    for one, two in pairs:
        interval = change_interval(one, two, figure)
        found += interval.low is not None and not interval.low <= 0.0 <= interval.high
    return found / PAIRS


@pytest.mark.parametrize(("correlation", "persistence"), [(0.3, 0.0), (0.5, 0.5)])
def test_the_same_thing_twice_is_seldom_called_changed_however_alike_its_calls_are(
    correlation, persistence
):
    """Nominal are 5 %, and of 80 comparisons 10 % or more is chance once in 35 times."""
    for figure in (P50, P95):
        assert false_alarms(same_things(correlation, persistence), figure) <= 0.1


def test_with_each_call_by_itself_every_third_comparison_would_be_false():
    apart = dict.fromkeys(("jitter_p50", "jitter_p95"), DesignEffect(MOST_BLOCKS, 1.0))
    pairs = [[replace(run, effects=apart) for run in pair] for pair in same_things(0.5, 0.5)]
    assert false_alarms(pairs, P50) > 0.3


def test_a_change_is_found_all_the_same():
    before, after = recorded(alike(1)), recorded(alike(2, times=1.6))
    for figure in (P50, P95):
        assert compare_runs(before, after).of(figure).judged is Change.WORSE


def test_the_design_effect_is_that_of_the_variance_between_blocks():
    apart = design_effects(alike(3, correlation=0.0))["jitter_p50"]
    assert apart.blocks == MOST_BLOCKS
    assert 1.0 <= apart.effect < 2.5
    # Calls of one second that are all the same count as one: 60 a block, of which 6 differ.
    same = design_effects(alike(4, correlation=1.0, persistence=0.0))["jitter_p50"]
    assert 3.0 < same.effect < 25.0
    whole = [RunSecond(1.0, tally=Tally(attempted=9, answered=n)) for n in (9, 9, 0, 9)]
    # By hand: share 3/4, residues 3 * 2.25**2 + 6.75**2 = 60.75; 4/3 * 60.75 / (36 * 3/16) = 12.
    assert design_effects(whole)["answered"] == DesignEffect(4, 12.0)
    assert design_effects([]) == {}
    assert "jitter_p50" not in design_effects(whole)


def test_of_a_quantile_between_two_the_larger_effect_counts():
    effects = {"jitter_p50": DesignEffect(9, 2.0), "jitter_p95": DesignEffect(9, 5.0)}
    for label, effect in (("jitter_p50", 2.0), ("jitter_p70", 5.0), ("jitter_p999", 5.0)):
        assert effect_of(effects, parse_figure(label)).effect == effect
    assert effect_of(effects, parse_figure("mos_p50")) is None
    assert effect_of(effects, parse_figure("answered")) is None


def test_why_there_is_no_interval_is_said():
    def shortage(before, after, figure=P95):
        change = compare_runs(before, after).of(figure)
        assert change.judged is Change.TOO_FEW
        return change.shortage

    run = recorded(alike(1))
    assert shortage(run, recorded(alike(2, rate=1))) == FEW_VALUES
    at_once = recorded(alike(2, seconds=1, rate=600))
    assert shortage(run, at_once) == FEW_SECONDS
    assert shortage(recorded(alike(5, rate=2, correlation=1.0, persistence=0.9)), run) == ALIKE
    loss = Tally(received=100, lost=1)
    unknown = RunRecord("old", loss)
    assert shortage(unknown, unknown, parse_figure("loss")) == FEW_SECONDS
    twice = RunRecord("twice", Tally(received=100, lost=-1))
    assert shortage(twice, twice, parse_figure("loss")) == FEW_VALUES


def test_draws_have_the_distribution_of_a_bootstrap():
    """Drawing all values again, many times, gives the same spread of the quantile."""
    generator = np.random.default_rng(7)
    values = np.round(generator.lognormal(3.0, 0.5, 400), 1)
    histogram = Histogram(0.1)
    for value in values:
        histogram.record_value(value)
    drawn = quantile_draws(histogram, 0.9, DesignEffect(100_000, 1.0), np.random.default_rng(1))
    again = np.sort(generator.choice(values, (4000, 400)), axis=1)[:, 359]
    for percent in (2.5, 50, 97.5):
        assert np.percentile(drawn, percent) == pytest.approx(
            np.percentile(again, percent), rel=0.03
        )


# Several runs a side -------------------------------------------------------------------------


def side(*medians, calls=300):
    runs = [record(n, setup_ms=value, calls=calls) for n, value in enumerate(medians)]
    return RunRecord.of_runs("side", runs)


def test_several_runs_say_how_much_runs_differ():
    setup = parse_figure("setup_p50")
    alone = compare_runs(record(1, setup_ms=20.0), record(2, setup_ms=24.0)).of(setup)
    assert alone.low > 0, "the calls of two runs say so"
    assert alone.judged is Change.NONE, "but 20 % may be the difference of two runs"
    apart = compare_runs(side(18, 20, 23), side(20, 24, 22)).of(setup)
    assert apart.judged is Change.NONE, "but runs of one version differ by as much"
    assert compare_runs(side(18, 20, 23), side(40, 44, 46)).of(setup).judged is Change.WORSE
    one_more = compare_runs(side(18, 20, 23), record(7, setup_ms=24.0)).of(setup)
    assert one_more.judged is Change.NONE
    assert one_more.before == pytest.approx(20.3, abs=0.7), "the mean of the runs"


def test_runs_that_do_not_differ_leave_the_noise_within_them():
    answered = parse_figure("answered")
    runs = RunRecord.of_runs("before", [record(n) for n in range(3)])
    change = compare_runs(runs, record(4, answered=0.999)).of(answered)
    assert (change.low < 0 < change.high, change.judged) == (True, Change.NONE)


def test_of_several_runs_smaller_changes_matter():
    setup = parse_figure("setup_p50")
    change = compare_runs(side(20, 20, 20), side(23, 23, 23)).of(setup)
    assert (change.judged, change.runs) == (Change.WORSE, (3, 3))


def test_one_registration_a_run_has_no_quantile():
    runs = []
    for value in (10.0, 10.1, 30.0):
        tally = Tally()
        tally.registration_ms.record_value(value)
        runs.append(RunRecord("run", tally))
    change = compare_runs(RunRecord.of_runs("a", runs[:2]), runs[2])
    assert change.of(parse_figure("registration_p95")).shortage == FEW_VALUES


def test_a_t_test_by_hand():
    """Means 2 and 5, variances 1 and 1: 3 ± 2.776 * sqrt(2/3)."""
    runs = []
    for value in (1.0, 2.0, 3.0, 4.0, 5.0, 6.0):
        tally = Tally()
        tally.jitter_ms.record_value(value, 4)
        runs.append(RunRecord("run", tally))
    interval = change_interval(
        RunRecord.of_runs("a", runs[:3]), RunRecord.of_runs("b", runs[3:]), P50
    )
    assert interval.low == pytest.approx(3 - 2.776 * (2 / 3) ** 0.5, abs=0.1)
    assert interval.high == pytest.approx(3 + 2.776 * (2 / 3) ** 0.5, abs=0.1)


def test_a_folder_is_several_runs(tmp_path):
    for seed in (1, 2, 3):
        write_run(tmp_path / f"{seed}.jsonl", seed)
    (tmp_path / "notes.txt").write_text("not a run")
    found = read_runs(tmp_path)
    assert [len(found.runs), found.tally.attempted, found.name] == [3, 3000, str(tmp_path)]
    assert found.differences(record(1, rate=5.0)) == ["rate 10.0 and 5.0"]
    write_run(tmp_path / "other.json", 4, rate=3.0)
    assert read_runs(tmp_path).differences(record(1)) == ["rate 10.0 and 3.0"]
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(ConfigurationError, match=r"broken\.json is no summary"):
        read_runs(tmp_path)
    (tmp_path / "none").mkdir()
    with pytest.raises(ConfigurationError, match="holds 0 files"):
        read_runs(tmp_path / "none")


def test_a_run_that_proves_nothing_is_named_in_its_folder():
    bad = RunRecord("b.json", Tally(), invalid_because=("it was busy",), interrupted=True)
    found = RunRecord.of_runs("folder", [record(1), bad])
    assert (found.invalid_because, found.interrupted) == (("b.json: it was busy",), True)


@pytest.mark.parametrize(
    "effect",
    [
        {"blocks": 0, "effect": 1.0},
        {"blocks": True, "effect": 1.0},
        {"blocks": 5, "effect": 0.5},
        {"blocks": 5, "effect": "1"},
        {"blocks": 5},
        [],
    ],
)
def test_a_design_effect_that_is_none_is_refused(tmp_path, effect):
    summary = json.loads(write_run(tmp_path / "run.jsonl").read_text().splitlines()[-1])
    summary["design_effects"]["mos_p50"] = effect
    (tmp_path / "run.jsonl").write_text(json.dumps(summary))
    with pytest.raises(ConfigurationError, match="is no summary of a run"):
        read_runs(tmp_path / "run.jsonl")


def test_a_summary_without_design_effects_has_intervals_of_shares_of_calls_alone(tmp_path):
    summary = json.loads(write_run(tmp_path / "run.jsonl").read_text().splitlines()[-1])
    del summary["design_effects"]
    (tmp_path / "run.jsonl").write_text(json.dumps(summary))
    found = read_runs(tmp_path / "run.jsonl")
    changes = {each.figure.label: each.judged for each in compare_runs(found, found).changes}
    assert changes["answered"] is Change.NONE
    assert changes["setup_p50"] is changes["loss"] is Change.TOO_FEW
