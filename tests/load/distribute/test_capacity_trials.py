"""Trials: what one run says about its number of calls."""

from __future__ import annotations

from softphone.load import LoadResult
from softphone.load.capacity import CapacitySearch
from softphone.load.distribute import RunControl, RunObserver, find_capacity
from softphone.load.distribute.plan_runner import trial_of
from softphone.load.measure import GeneratorCheck, RunSecond, Tally
from softphone.load.plan import BaseSpec, LoadPlan, UserSpec, parse_expectation

EXPECTED = [parse_expectation("answered>=99%")]


def result(answered=100, **changes):
    plan = LoadPlan("echo", "600", BaseSpec(server="sip:h"), (UserSpec("sip:a@h"),), calls=100)
    made = LoadResult(plan, **changes)
    made.add_second(RunSecond(1.0, tally=Tally(attempted=100, answered=answered)))
    return made


def test_a_run_within_its_verdicts_is_held():
    trial = trial_of(result(), EXPECTED)
    assert (trial.calls, trial.held, trial.valid, trial.answered) == (100, True, True, 1.0)


def test_a_run_beyond_them_is_not_and_says_why():
    trial = trial_of(result(answered=90), EXPECTED)
    assert (trial.held, trial.valid) == (False, True)
    assert trial.why == "answered>=99% (measured: 90%)"


def test_an_invalid_run_says_nothing_whatever_its_verdicts():
    for answered in (100, 10):
        trial = trial_of(result(answered, invalid_because=["busy"]), EXPECTED)
        assert (trial.held, trial.valid, trial.why) == (False, False, "busy")


def test_but_what_fails_outright_is_not_held_and_comes_first():
    both = [parse_expectation("mos_p5>=4"), *EXPECTED]
    slow = result(0)
    slow.add_invalid_reason("busy", GeneratorCheck.SPEED)
    trial = trial_of(slow, both)
    assert (trial.held, trial.valid) == (False, True)
    assert trial.why == "answered>=99% (measured: 0%)"
    starved = result(0)
    starved.add_invalid_reason("no ports", GeneratorCheck.RESOURCES)
    assert not trial_of(starved, both).valid


def test_nor_does_an_interrupted_one():
    trial = trial_of(result(interrupted=True), EXPECTED)
    assert (trial.held, trial.valid, trial.why) == (False, False, "interrupted")


async def test_a_search_runs_once_for_each_number_and_gives_the_run_at_the_capacity(monkeypatch):
    tried, told = [], []

    async def run_plan(plan, workers, watcher, ray):
        tried.append((plan.calls, workers))
        made = LoadResult(plan)
        answered = plan.calls if plan.calls <= 30 else plan.calls // 2
        made.add_second(RunSecond(1.0, tally=Tally(attempted=plan.calls, answered=answered)))
        return made

    monkeypatch.setattr("softphone.load.distribute.plan_runner.run_plan", run_plan)
    plan = result().plan
    search = CapacitySearch(first=2, most=100, precision=0.01, confirm=2)
    begun = []
    watcher = RunObserver(begin=lambda trial: begun.append(trial.calls))
    found = await find_capacity(
        plan, search, EXPECTED, workers=4, watcher=watcher, on_trial=told.append
    )
    assert begun == [calls for calls, _ in tried]
    assert search.capacity == found.plan.calls == 30
    assert [trial.calls for trial in told] == [calls for calls, _ in tried]
    assert tried[0] == (2, 2), "no more workers than calls"
    assert tried[-1] == (30, 4)


async def test_an_interruption_ends_the_search(monkeypatch):
    async def run_plan(plan, workers, watcher, ray):
        return LoadResult(plan, interrupted=True)

    monkeypatch.setattr("softphone.load.distribute.plan_runner.run_plan", run_plan)
    search = CapacitySearch(first=2, most=100)
    assert (await find_capacity(result().plan, search, EXPECTED)).interrupted
    assert len(search.trials) == 1
    assert search.interrupted


async def test_a_stop_ends_the_search_and_not_only_its_trial(monkeypatch):
    async def run_plan(plan, workers, watcher, ray, control):
        assert control.plan.calls == plan.calls
        control.stopped = plan.calls == 4
        return LoadResult(plan)

    monkeypatch.setattr("softphone.load.distribute.plan_runner.run_plan", run_plan)
    plan, search = result().plan, CapacitySearch(first=2, most=100)
    control = RunControl(plan, searching=True)
    await find_capacity(plan, search, [], control=control)
    assert [(trial.calls, trial.interrupted) for trial in search.trials] == [(2, False), (4, True)]


async def test_where_nothing_was_held_the_last_run_is_shown_with_its_reasons(monkeypatch):
    async def run_plan(plan, workers, watcher, ray):
        return LoadResult(plan, invalid_because=["the generator was busy"])

    monkeypatch.setattr("softphone.load.distribute.plan_runner.run_plan", run_plan)
    search = CapacitySearch(first=2, most=100)
    found = await find_capacity(result().plan, search, EXPECTED)
    assert [trial.calls for trial in search.trials] == [2, 2, 1, 1]
    assert (found.plan.calls, found.valid, search.capacity) == (1, False, 0)
    assert search.outcome_text().startswith("nothing is known: 1 call could not be judged")
