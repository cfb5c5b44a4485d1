"""What a calibration found: kept, read, and found again for the same set-up only."""

from __future__ import annotations

from dataclasses import replace

import pytest

from softphone.errors import ConfigurationError
from softphone.load import BaseSpec, LoadPlan, LoadResult, Tally, UserSpec, result_figures
from softphone.load.distribute import generator_trial
from softphone.load.generator_limit import (
    GeneratorLimit,
    GeneratorSetup,
    find_limit,
    limits_text,
    read_limits,
    replace_limit,
)
from softphone.load.measure import GeneratorCheck, RunSecond

PLAN = LoadPlan("echo", "600", BaseSpec(server="sip:h", suites=("AES",)), (UserSpec("sip:a@h"),))
SETUP = GeneratorSetup.of_plan(PLAN, 1, "compiled kernel")
LIMIT = GeneratorLimit(400, False, "late", "2026-11-29T10:00:00+00:00", SETUP)


def test_limits_are_read_as_they_were_written():
    other = replace(LIMIT, setup=replace(SETUP, workers=2))
    assert read_limits(limits_text([LIMIT, other]), "limits") == (LIMIT, other)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"limits": [{}]}', '{"limits": [1]}', pytest.param("[" * 100_000, id="deep")],
)
def test_a_file_of_something_else_is_refused_by_name(text):
    with pytest.raises(ConfigurationError, match=r"^kept\.json holds no limits .* calibrate anew"):
        read_limits(text, "kept.json")


@pytest.mark.parametrize("calls", ["1e999", "NaN", "0", "-5", "2.5", "true", '"400"'])
def test_what_is_no_number_of_calls_is_refused(calls):
    text = limits_text([LIMIT]).replace('"calls": 400', f'"calls": {calls}')
    with pytest.raises(ConfigurationError, match="calibrate anew"):
        read_limits(text, "kept.json")


def test_a_limit_counts_for_its_own_set_up_only():
    assert find_limit([LIMIT], GeneratorSetup.of_plan(PLAN, 1, "compiled kernel")) is LIMIT
    shared = replace(PLAN, sockets="shared")
    for other in (
        GeneratorSetup.of_plan(shared, 1, "compiled kernel"),
        GeneratorSetup.of_plan(PLAN, 2, "compiled kernel"),
        GeneratorSetup.of_plan(PLAN, 1, "NumPy"),
    ):
        assert find_limit([LIMIT], other) is None


def test_a_new_limit_takes_the_place_of_that_of_its_set_up():
    other = replace(LIMIT, setup=replace(SETUP, workers=2))
    new = replace(LIMIT, calls=500)
    assert replace_limit([LIMIT, other], new) == (other, new)


def result(answered=100, **more):
    made = LoadResult(PLAN, **more)
    tally = Tally(attempted=100, answered=answered)
    made.add_second(RunSecond(1.0, peak=100, tally=tally))
    return made


def test_a_run_says_its_share_of_the_limit():
    assert result().summary()["generator"] is None
    known = result(limit=LIMIT)
    assert known.summary()["generator"] == {
        "calls": 400,
        "at_least": False,
        "measured": "2026-11-29T10:00:00+00:00",
        "most_up_share": 0.25,
    }
    assert dict(result_figures(known))["of what this machine holds by itself"] == "25% of 400"
    least = result(limit=replace(LIMIT, at_least=True))
    said = dict(result_figures(least))["of what this machine holds by itself"]
    assert said == "25% of at least 400"


def test_an_invalid_run_is_a_number_that_the_generator_does_not_hold():
    assert generator_trial(result()).held
    slow = result()
    slow.add_invalid_reason("its packets were late", GeneratorCheck.SPEED)
    trial = generator_trial(slow)
    assert (trial.held, trial.valid, trial.why) == (False, True, "its packets were late")
    trial = generator_trial(result(answered=50))
    assert (trial.held, trial.valid) == (False, True)
    assert trial.why == "only 50.0% of the calls were answered"
    assert generator_trial(result(interrupted=True)).interrupted
