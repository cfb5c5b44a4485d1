"""Comparisons: what is worse, what noise explains, and what is too little to say."""

from __future__ import annotations

import pytest

from softphone.errors import ConfigurationError
from softphone.load.compare import Change, compare_runs, judge_changes, parse_rule
from softphone.load.plan import BaseSpec, UserSpec, parse_figure
from tests.load.compare.runs import record


def changes(before, after):
    return {each.figure.label: each for each in compare_runs(before, after).changes}


def test_a_planted_regression_is_found_and_the_rest_is_left_in_peace():
    found = changes(record(1), record(2, setup_ms=34.0, mos=4.1))
    for name in ("setup_p50", "setup_p95", "setup_p99", "mos_p5", "mos_p50"):
        assert found[name].judged is Change.WORSE, name
    assert found["answered"].judged is Change.NONE
    setup = found["setup_p50"]
    assert setup.low < setup.change < setup.high
    assert setup.percent == pytest.approx(70.0, abs=8.0)
    better = changes(record(2, setup_ms=34.0, mos=4.1), record(1))
    assert better["setup_p95"].judged is better["mos_p5"].judged is Change.BETTER


@pytest.mark.parametrize("seed", range(2, 7))
def test_the_same_thing_twice_is_no_regression(seed):
    found = changes(record(1), record(seed))
    assert {each.judged for each in found.values()} <= {Change.NONE, Change.TOO_FEW}


def test_calls_that_fail_are_a_regression_when_there_are_enough_of_them():
    assert changes(record(), record(answered=0.9))["answered"].judged is Change.WORSE
    few = changes(record(calls=10), record(calls=10, answered=0.9))
    assert few["answered"].judged is Change.NONE, "one call of ten is chance"
    assert few["setup_p99"].judged is few["setup_p95"].judged is Change.TOO_FEW


def test_loss_is_judged_by_how_much_its_seconds_differ():
    found = changes(record(calls=20), record(calls=20, loss=10.0))
    assert found["loss"].judged is Change.WORSE
    assert found["loss"].low < found["loss"].change < found["loss"].high
    assert found["loss_p95"].judged is Change.TOO_FEW
    one, two = record(2, calls=200, loss=1.0), record(3, calls=200, loss=1.0)
    assert changes(one, two)["loss"].judged is Change.NONE


def test_what_one_of_them_did_not_measure_is_said():
    found = changes(record(), record(answered=0.0))
    assert found["setup_p50"].judged is Change.NOT_MEASURED
    assert found["setup_p50"].after is None
    assert "registered" not in found, "neither registered anybody"


def test_the_same_files_have_the_same_comparison():
    assert compare_runs(record(1), record(2)).changes == compare_runs(record(1), record(2)).changes


def test_runs_that_were_asked_for_differently_are_told_apart():
    one, two = record(calls=10), record(calls=10, seed=9, rate=5.0, hold="30")
    assert one.differences(two) == ["rate 10.0 and 5.0", "hold - and 30"]


def test_another_server_transport_or_suite_is_told():
    before = record(base=BaseSpec(server="sips:one.example"))
    after = record(
        base=BaseSpec(server="sip:two.example;transport=udp", suites=("AEAD_AES_128_GCM",))
    )
    told = before.differences(after)
    assert told[:2] == [
        "server sips:one.example and sip:two.example;transport=udp",
        "transport tls and udp",
    ]
    assert told[-1].endswith(" and AEAD_AES_128_GCM")
    other_user = record(base=BaseSpec(server="sips:one.example"), users=(UserSpec("sip:b@h"),))
    assert before.differences(other_user) == []


def judged(rule, before, after):
    return judge_changes(compare_runs(before, after), [parse_rule(rule)])


@pytest.mark.parametrize(
    ("rule", "met"),
    [
        ("setup_p95>10%", False),
        ("setup_p95>50%", True),
        ("setup_p95>1ms", False),
        ("setup_p95>0.1s", True),
        ("setup_p999>1%", False),
        ("mos_p5>0.1", False),
        ("mos_p5>1", True),
        ("answered>0.5pp", False),
        ("answered>10pp", True),
        ("answered>1%", False),
        ("dropped>0%", True),
        ("registered>1pp", False),
    ],
)
def test_a_rule_bounds_how_much_worse_a_figure_may_be(rule, met):
    (verdict,) = judged(rule, record(1), record(2, setup_ms=26.0, mos=4.1, answered=0.95))
    assert verdict.met is met, verdict
    assert verdict.expected.startswith(
        f"{rule.partition('>')[0]} worse than before by no more than"
    )


def test_a_change_that_noise_explains_breaks_no_rule():
    before, figure = record(1), parse_figure("setup_p50")
    slower = (record(seed) for seed in range(2, 20))
    after = next(each for each in slower if compare_runs(before, each).of(figure).worse_by > 0)
    assert compare_runs(before, after).of(figure).surely_worse_by < 0
    (verdict,) = judged("setup_p50>0%", before, after)
    assert verdict.met


def test_regression_judges_every_figure_that_was_there_before():
    verdicts = judged("regression", record(1), record(2, setup_ms=26.0))
    unmet = {verdict.expected.split()[0] for verdict in verdicts if not verdict.met}
    assert {"setup_p50", "setup_p95", "setup_p99"} <= unmet
    assert "answered" not in unmet
    lost = judged("regression", record(1), record(2, answered=0.0))
    assert "setup_p50" in {each.expected.split()[0] for each in lost if not each.met}


def test_regression_does_not_call_met_what_too_few_calls_cannot_say():
    verdicts = judged("regression", record(calls=20), record(calls=20, loss=10.0, mos=3.0))
    found = {each.expected.split()[0]: each for each in verdicts}
    assert found["loss"].broken
    assert found["answered"].word == "met"
    for name in ("loss_p95", "mos_p5", "setup_p95"):
        assert not found[name].judged, name
        assert not found[name].met
        assert not found[name].broken
        assert found[name].word == "not judged (too few)"


def test_a_verdict_says_both_values_the_change_and_its_interval():
    (verdict,) = judged("setup_p50>10%", record(1), record(2, setup_ms=26.0))
    assert "ms, before " in verdict.measured
    assert "; 95 %: +" in verdict.measured
    (verdict,) = judged("setup_p99>10%", record(calls=10), record(calls=10))
    assert verdict.met
    assert "no interval" in verdict.measured
    (verdict,) = judged("setup_p99>10%", record(), record(answered=0.0))
    assert verdict.measured.startswith("not measured, before ")


@pytest.mark.parametrize(
    "rule", ["", "setup_p99", "speed>1%", "setup_p99>5", "mos_p5>1ms", "answered>1ms", "mos_p0>1"]
)
def test_a_rule_that_is_none_is_refused_with_what_is_accepted(rule):
    with pytest.raises(ConfigurationError, match="accepted are regression, or FIGURE>CHANGE"):
        parse_rule(rule)
