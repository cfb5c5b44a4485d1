"""Arrivals and holds: exact where they are even, right in the mean where they are drawn."""

from __future__ import annotations

from itertools import islice, pairwise

import pytest

from softphone.errors import ConfigurationError
from softphone.load.plan import parse_arrival, parse_holding_time


def times(text, count, *, rate=10.0, seed=1):
    return list(islice(parse_arrival(text, rate=rate, seed=seed).arrival_times(), count))


def within(found, begin, end):
    return sum(begin <= at < end for at in found)


def test_constant_arrivals_are_even_and_do_not_drift():
    assert times("constant", 4, rate=4.0) == [0.0, 0.25, 0.5, 0.75]
    assert times("constant", 100_001, rate=3.0)[-1] == pytest.approx(100_000 / 3, abs=1e-9)


def test_poisson_arrivals_have_the_rate_in_the_mean_and_vary_as_they_should():
    found = times("poisson", 20_000, rate=50.0)
    gaps = [after - before for before, after in pairwise(found)]
    mean = sum(gaps) / len(gaps)
    variance = sum((gap - mean) ** 2 for gap in gaps) / len(gaps)
    assert mean == pytest.approx(0.02, rel=0.03)
    assert variance == pytest.approx(mean**2, rel=0.08)


def test_the_seed_decides_and_nothing_else():
    assert times("poisson", 50, seed=7) == times("poisson", 50, seed=7)
    assert times("poisson", 50, seed=7) != times("poisson", 50, seed=8)


def test_a_ramp_rises_in_a_straight_line_and_stays():
    found = times("ramp:0-100:10", 2000)
    assert found == sorted(found)
    assert within(found, 0, 1) == pytest.approx(5, abs=1)
    assert within(found, 9, 10) == pytest.approx(95, abs=1)
    assert within(found, 12, 13) == pytest.approx(100, abs=1)


def test_a_ramp_may_fall():
    found = times("ramp:20-10:2", 100)
    assert within(found, 0, 2) == pytest.approx(30, abs=1)
    assert within(found, 3, 5) == pytest.approx(20, abs=1)


def test_steps_follow_each_other_and_the_last_one_stays():
    found = times("step:5:2,50:1,10:1", 100)
    assert [within(found, at, at + 1) for at in range(5)] == [5, 5, 50, 10, 10]


def test_a_trace_is_played_as_it_was(tmp_path):
    file = tmp_path / "trace"
    file.write_text("0.5\n\n# a comment\n0.5 # two at once\n3\n")
    assert times(f"trace:{file}", 10) == [0.5, 0.5, 3.0]


@pytest.mark.parametrize(
    ("text", "where"),
    [("1\n0.5\n", ":2"), ("x\n", ":1"), ("-1\n", ":1"), ("nan\n", ":1"), ("", "no arrival")],
)
def test_a_trace_that_makes_no_sense_names_its_line(tmp_path, text, where):
    file = tmp_path / "trace"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=where):
        parse_arrival(f"trace:{file}", rate=1.0, seed=1)


@pytest.mark.parametrize(
    "text",
    [
        "sometimes",
        "ramp:1-2",
        "ramp:5:1",
        "ramp:0-0:5",
        "step:0:5",
        "step:x",
        "trace:",
        "trace:/no",
    ],
)
def test_an_unknown_arrival_is_refused(text):
    with pytest.raises(ConfigurationError):
        parse_arrival(text, rate=1.0, seed=1)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("inf"), float("nan")])
def test_a_rate_is_above_zero(rate):
    with pytest.raises(ConfigurationError, match=r"rate|more than 0"):
        parse_arrival("constant", rate=rate, seed=1)


def test_holds_are_what_they_are_called():
    assert parse_holding_time("run", seed=1).seconds_of_call(3) is None
    assert (
        parse_holding_time("30", seed=1).seconds_of_call(3)
        == parse_holding_time("fixed:30", seed=1).seconds_of_call(9)
        == 30.0
    )
    uniform = [parse_holding_time("uniform:2-4", seed=1).seconds_of_call(n) for n in range(2000)]
    assert 2.0 <= min(uniform) < 2.1
    assert 3.9 < max(uniform) <= 4.0
    exponential = sorted(
        parse_holding_time("exponential:10", seed=1).seconds_of_call(n) for n in range(4000)
    )
    assert sum(exponential) / 4000 == pytest.approx(10.0, rel=0.06)
    assert exponential[2000] == pytest.approx(6.93, rel=0.08)
    lognormal = sorted(
        parse_holding_time("lognormal:60:1", seed=1).seconds_of_call(n) for n in range(4000)
    )
    assert lognormal[2000] == pytest.approx(60.0, rel=0.08)
    assert lognormal[3364] == pytest.approx(60.0 * 2.718, rel=0.12)


def test_a_call_has_the_same_hold_whoever_asks():
    hold = parse_holding_time("exponential:5", seed=3)
    assert [hold.seconds_of_call(n) for n in range(20)] == [
        hold.seconds_of_call(n) for n in range(20)
    ]
    assert parse_holding_time("exponential:5", seed=4).seconds_of_call(1) != hold.seconds_of_call(1)


@pytest.mark.parametrize(
    "text", ["", "0", "-3", "uniform:4-2", "uniform:4", "exponential:0", "lognormal:5", "for ever"]
)
def test_an_unknown_hold_is_refused(text):
    with pytest.raises(ConfigurationError, match="hold") as caught:
        parse_holding_time(text, seed=1)
    assert "could not convert" not in str(caught.value)
