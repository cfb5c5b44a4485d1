"""A crew: begins together, adds up, and survives the loss of a worker."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import pytest

from softphone.errors import ConfigurationError
from softphone.load.crew import Crew, WorkerFailed
from softphone.load.line import LocalLine
from softphone.load.plan import BaseSpec, LoadPlan
from softphone.load.users import UserSpec
from tests.load.conftest import eventually

FAKE = """
import json, os, sys, time
from softphone.load.tally import Second, Tally

def say(kind, value=None):
    print(json.dumps({kind: value}), flush=True)

plan = json.loads(sys.stdin.readline())["plan"]
number = plan["worker"]
%s
say("progress", [len(plan["users"]), len(plan["users"])])
say("ready")
word = sys.stdin.readline()
if "go" not in word:
    sys.exit(0)
say("begun", 100.0 + number * 0.25)
for at in (1, 2, 3):
    tally = Tally(attempted=10, answered=10)
    tally.setup_ms.add(1.0 if number else 1000.0, 10)
    say("second", Second(float(at), up=5, tally=tally).plain())
    %s
say("done", ["it was busy"] if number else [])
"""


def plan(calls=9, users=6):
    specs = tuple(UserSpec(f"sip:u{n}@h") for n in range(users))
    return LoadPlan("echo", "600", BaseSpec(server="sip:h"), specs, calls=calls)


def crew(before="", between="", workers=3, told=None, progress=None):
    """A crew of workers that only pretend."""
    program = FAKE % (before, between)
    return Crew(
        plan().shares(workers),
        on_second=(told if told is not None else []).append,
        on_progress=lambda *of: (progress if progress is not None else []).append(of),
        hire=lambda: LocalLine.hire((sys.executable, "-c", program)),
    )


async def test_seconds_of_all_workers_are_one_second():
    told, progress = [], []
    result = await crew(told=told, progress=progress).run(plan())
    assert [(second.at, second.up, second.workers) for second in told] == [
        (1.0, 15, 3),
        (2.0, 15, 3),
        (3.0, 15, 3),
    ]
    setup = told[0].tally.setup_ms
    assert (setup.total, setup.quantile(0.5)) == (30, 1.0)
    assert setup.quantile(0.99) == pytest.approx(1000.0, rel=0.001)
    assert result.begun_apart == 0.5
    assert result.invalid_because == ["worker 2: it was busy", "worker 3: it was busy"]
    assert progress[-1] == (6, 6)
    assert result.lost == []


async def test_a_lost_worker_is_named_with_its_share_and_the_rest_is_reported():
    told = []
    result = await crew(
        between="if number == 1 and at == 2: os.kill(os.getpid(), 9)", told=told
    ).run(plan())
    assert [second.workers for second in told] == [3, 3, 2]
    (lost,) = result.lost
    assert "worker 2 was lost after 2 s" in lost
    assert "code -9" in lost
    assert "3 of 9 calls" in lost
    assert not result.valid


async def test_a_worker_that_says_nonsense_is_lost_and_killed():
    result = await crew(between="if number == 2: print('hello', flush=True)").run(plan())
    assert "worker 3" in result.lost[0]
    assert "something unknown" in result.lost[0]


async def test_a_plan_that_a_worker_refuses_is_the_crews_error():
    refuse = "number == 1 and (say('failed', {'message': 'no such file', 'usage': True}), exit(2))"
    made = crew(before=refuse)
    with pytest.raises(ConfigurationError, match="no such file"):
        await made.run(plan())
    for line in made.lines:
        with pytest.raises(ProcessLookupError):
            os.kill(line.pid, 0)


async def test_a_worker_that_dies_before_it_begins_ends_the_run():
    with pytest.raises(WorkerFailed, match="worker 1 ended with code 3 before it began"):
        await crew(before="number == 0 and sys.exit(3)").run(plan())


async def test_a_crew_that_is_stopped_before_it_begins_is_canceled():
    made = crew(before="time.sleep(0.5)")
    running = asyncio.ensure_future(made.run(plan()))
    await asyncio.sleep(0.1)
    made.stop()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_two_real_workers_share_a_run_and_one_may_be_lost(lab, plan_for):
    whole = plan_for(lab, "echo", calls=6, duration=4.0, checks=0)
    told = []
    made = Crew(whole.shares(2), on_second=told.append)
    running = asyncio.ensure_future(made.run(whole))
    await eventually(lambda: running.done() or any(second.up == 6 for second in told))
    os.kill(made.lines[0].pid, signal.SIGKILL)
    result = await running
    assert sum(second.tally.answered for second in told) == 6
    assert result.begun_apart < 5.0, "they wait for one time, whoever was ready first"
    assert len(result.lost) == 1
    assert "3 of 6 calls" in result.lost[0]
    assert told[-1].workers == 1
