"""Stopping and changing a run: within limits, told in its result, and by each worker's share."""

from __future__ import annotations

import asyncio

import pytest

from softphone.errors import ConfigurationError
from softphone.load import BaseSpec, LoadPlan, UserSpec
from softphone.load.distribute import RunControl, RunObserver, run_plan
from softphone.load.distribute.worker import _obey
from softphone.load.distribute.worker_channel import encode_line
from softphone.load.plan import SippSpec
from tests.load.conftest import eventually


class Run:
    """What a control does to a run."""

    def __init__(self):
        self.done = []

    def stop_run(self):
        self.done.append("stop")

    def change_load(self, **change):
        self.done.append(change)


def plan_of(**settings):
    users = (UserSpec("sip:a@h"),)
    base = BaseSpec(server="sip:h")
    values = {"target": "sip:600@h", "calls": 8, "rate": 4.0, "watched": True}
    return LoadPlan("echo", base=base, users=users, **(values | settings))


def controlled(*, workers=1, **settings):
    control, run = RunControl(plan_of(**settings), workers), Run()
    control.attach(run)
    control.note_time(12.4)
    return control, run


def test_a_change_is_made_and_told():
    control, run = controlled()
    control.change(rate=9.0, calls=32)
    control.change(rate=9.0, calls=32)
    control.change(calls=1)
    control.stop()
    assert run.done == [{"rate": 9.0, "calls": 32}, {"rate": None, "calls": 1}, "stop"]
    assert control.changes == [
        "9 calls a second and 32 calls at once from 12 s on",
        "1 calls at once from 12 s on",
        "stopped at 12 s",
    ]
    for late in (control.stop, lambda: control.change(rate=1.0)):
        with pytest.raises(ConfigurationError, match="is over"):
            late()


@pytest.mark.parametrize(
    ("settings", "change"),
    [
        ({}, {"calls": 0}),
        ({}, {"calls": 33}),
        ({}, {"rate": 0.0}),
        ({}, {"rate": -1.0}),
        ({}, {"rate": 100.1}),
        ({}, {"rate": float("nan")}),
        ({}, {"rate": 5.0, "calls": 33}),
        ({"calls": 300, "ports": (40000, 40999)}, {"calls": 500}),
        ({"watched": False}, {"calls": 9}),
        ({"sipp": SippSpec("uas.xml", listen="udp:127.0.0.1:0"), "target": None}, {"calls": 2}),
    ],
)
def test_a_change_beyond_the_limits_changes_nothing(settings, change):
    control, run = controlled(**settings)
    with pytest.raises(ConfigurationError):
        control.change(**change)
    assert (run.done, control.changes) == ([], [])


def test_each_worker_keeps_a_call_and_nothing_is_changed_before_the_run():
    control, _ = controlled(workers=3)
    with pytest.raises(ConfigurationError, match="expected 3 or more"):
        control.change(calls=2)
    early = RunControl(plan_of())
    early.attach(Run())
    with pytest.raises(ConfigurationError, match="has not begun"):
        early.stop()


async def test_a_worker_changes_its_load_until_it_is_to_stop():
    reader, run = asyncio.StreamReader(), Run()
    reader.feed_data(encode_line("change", {"rate": 2.0, "calls": None}))
    reader.feed_data(encode_line("change", {"rate": None, "calls": 4}))
    reader.feed_data(encode_line("stop"))
    await _obey(reader, run)
    assert run.done == [{"rate": 2.0, "calls": None}, {"rate": None, "calls": 4}, "stop"]


async def test_calls_of_a_real_run_follow_and_a_failed_one_is_told(lab, plan_for):
    """Up, down by hanging up the newest, and to an end that is no interruption."""
    plan = plan_for(lab, "echo", calls=2, rate=50.0, duration=600.0, checks=0, watched=True)
    control, told = RunControl(plan), []
    watcher = RunObserver(told.append)
    running = asyncio.ensure_future(run_plan(plan, 1, watcher, control=control))
    await eventually(lambda: told and told[-1].up == 2)
    control.change(calls=5)
    await eventually(lambda: told[-1].up == 5)
    control.change(calls=1)
    await eventually(lambda: told[-1].up == 1)
    control.stop()
    result = await running
    assert not result.interrupted
    assert (result.total.answered, result.total.ended["local"]) == (5, 5)
    assert (result.total.dropped.total(), result.total.failed.total()) == (0, 0)
    changes = result.summary()["plan"]["changes"]
    assert [change.split(" from ")[0] for change in changes[:2]] == [
        "5 calls at once",
        "1 calls at once",
    ]
    with pytest.raises(ConfigurationError):
        control.stop()


async def test_the_messages_of_a_failed_call_are_kept_of_a_watched_run(lab, plan_for):
    failed, told = [], []
    plan = plan_for(lab, "echo", target="999", calls=1, duration=600.0, watched=True)
    watcher = RunObserver(told.append, failure=failed.append)
    control = RunControl(plan)
    running = asyncio.ensure_future(run_plan(plan, 1, watcher, control=control))
    await eventually(lambda: failed and told)
    control.stop()
    await running
    assert failed[0].cause == "404 Not Found"
    assert "INVITE" in failed[0].ladder
    assert "404 Not Found" in failed[0].messages
