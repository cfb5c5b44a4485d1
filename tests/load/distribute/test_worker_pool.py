"""A crew: begins together, adds up, and survives the loss of a worker."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from dataclasses import replace

import pytest

from softphone.errors import ConfigurationError
from softphone.load.distribute.worker_channel import decode_line, encode_line
from softphone.load.distribute.worker_pool import WorkerFailed, WorkerPool
from softphone.load.measure import RunSecond, Tally
from softphone.load.plan import BaseSpec, LoadPlan, UserSpec
from softphone.load.plan.plan import NODE
from tests.load.conftest import eventually


class Gone(Exception):
    """A worker that is gone, with its code."""


async def nothing(pretender, at):
    """What a worker does that behaves."""


class Pretender:
    """A worker without a process or a call: it says what one says, and can misbehave."""

    def __init__(self, before, between, node="", offset=0.0):
        self.node = node
        self.offset = offset
        self._before, self._between = before, between
        self._heard: asyncio.Queue = asyncio.Queue()
        self._said: asyncio.Queue[bytes] = asyncio.Queue()
        self.working = asyncio.ensure_future(self._work())

    # What the crew sees of it: a WorkerChannel

    def send_line(self, data):
        self._heard.put_nowait(decode_line(data))

    async def receive_line(self):
        return await self._said.get()

    async def wait_for_end(self):
        await asyncio.wait([self.working])
        return "ended with code " + (
            "-9" if self.working.cancelled() else str(self.working.result())
        )

    def close_input(self):
        self._heard.put_nowait(("", None))

    def kill(self):
        self.working.cancel()

    # What it does

    def tell(self, kind, value=None):
        self._said.put_nowait(encode_line(kind, value))

    async def heard(self):
        return await self._heard.get()

    def babble(self):
        self._said.put_nowait(b"hello\n")

    async def _work(self):
        try:
            await self._pretend()
        except Gone as gone:
            return gone.args[0]
        finally:
            self._said.put_nowait(b"")
        return 0

    async def _pretend(self):
        self.plan = (await self._heard.get())[1]
        self.number = self.plan["worker"]
        await self._before(self, 0)
        self.tell("progress", [len(self.plan["users"])] * 2)
        self.tell("ready")
        word, self.begin = await self._heard.get()
        if word != "go":
            return
        self.tell("begun", self.begin + self.number * 0.25)
        for at in (1, 2, 3):
            tally = Tally(attempted=10, answered=10)
            tally.setup_ms.record_value(1.0 if self.number else 1000.0, 10)
            self.tell("second", RunSecond(float(at), up=5, tally=tally).to_plain())
            await self._between(self, at)
        self.tell("done", {"it was busy": "the generator kept up"} if self.number else {})


def plan(calls=9, users=6):
    specs = tuple(UserSpec(f"sip:u{n}@h") for n in range(users))
    return LoadPlan("echo", "600", BaseSpec(server="sip:h"), specs, calls=calls)


def crew(
    before=nothing,
    between=nothing,
    nodes=("", "", ""),
    offsets=(0.0, 0.0, 0.0),
    told=None,
    progress=None,
):
    """A crew of workers that only pretend, on these nodes, whose clocks are so far ahead."""
    places = zip(nodes, offsets, strict=True)

    async def hire():
        return Pretender(before, between, *next(places))

    return WorkerPool(
        plan().shares(len(nodes)),
        on_second=(told if told is not None else []).append,
        on_progress=lambda *of: (progress if progress is not None else []).append(of),
        hire=hire,
    )


async def test_a_change_is_cut_for_the_workers_and_their_failures_have_numbers():
    heard, failed, rows = {}, [], []

    async def between(pretender, at):
        if at == 1:
            call = {"at": 1.0, "cause": "x", "call_id": "c", "ladder": "l", "messages": "m"}
            pretender.tell("failure", call)
            heard[pretender.number] = await pretender.heard()
        if pretender.number == 2:
            raise Gone(3)

    pool = crew(between=between)
    pool._on_failure = failed.append
    pool._on_worker = lambda *what: rows.append(what)
    running = asyncio.ensure_future(pool.run_shares(plan()))
    await eventually(lambda: len(failed) == 3)
    pool.change_load(rate=7.0, calls=5)
    await running
    assert heard == {
        0: ("change", {"rate": 7.0, "calls": 2}),
        1: ("change", {"rate": 7.0, "calls": 2}),
        2: ("change", {"rate": 7.0, "calls": 1}),
    }
    assert sorted(call.worker for call in failed) == [0, 1, 2]
    assert [number for number, what in rows].count(0) == 3
    assert (2, "ended with code 3") in rows


async def test_seconds_of_all_workers_are_one_second():
    told, progress = [], []
    result = await crew(told=told, progress=progress).run_shares(plan())
    assert [(second.at, second.up, second.workers) for second in told] == [
        (1.0, 15, 3),
        (2.0, 15, 3),
        (3.0, 15, 3),
    ]
    setup = told[0].tally.setup_ms
    assert (setup.total, setup.quantile(0.5)) == (30, 1.0)
    assert setup.quantile(0.99) == pytest.approx(1000.0, rel=0.001)
    assert result.begun_apart == pytest.approx(0.5)
    assert result.invalid_because == ["worker 2: it was busy", "worker 3: it was busy"]
    assert progress[-1] == (6, 6)
    assert result.lost == []


async def test_each_begins_by_its_own_clock_and_starts_are_compared_by_ours():
    made = crew(offsets=(0.0, 3600.0, -50.0))
    before = time.time()
    result = await made.run_shares(plan())
    first, ahead, behind = (line.begin for line in made.lines)
    assert before < first < before + 10
    assert ahead - first == pytest.approx(3600.0)
    assert behind - first == pytest.approx(-50.0)
    assert result.begun_apart == pytest.approx(0.5)


async def test_workers_on_machines_of_their_own_take_their_addresses():
    plans = []

    async def keep(worker, at):
        plans.append(worker.plan)

    whole = replace(plan(), host=NODE, ports=(40000, 40999))
    await crew(before=keep, nodes=("192.0.2.1", "192.0.2.2", "192.0.2.1")).run_shares(whole)
    told = [(each["host"], each["ports"]) for each in plans]
    assert sorted(told) == [
        ("192.0.2.1", [40000, 40499]),
        ("192.0.2.1", [40500, 40999]),
        ("192.0.2.2", [40000, 40999]),
    ]


async def test_a_lost_worker_is_named_with_its_share_and_the_rest_is_reported():
    async def die(worker, at):
        if (worker.number, at) == (1, 2):
            worker.kill()
            await asyncio.sleep(0)

    told = []
    result = await crew(between=die, told=told).run_shares(plan())
    assert [second.workers for second in told] == [3, 3, 2]
    (lost,) = result.lost
    assert "worker 2 was lost after 2 s" in lost
    assert "code -9" in lost
    assert "3 of 9 calls" in lost
    assert not result.valid


async def test_a_worker_that_says_nonsense_is_lost_and_killed():
    async def babble(worker, at):
        if worker.number == 2:
            worker.babble()
            await asyncio.Event().wait()

    made = crew(between=babble)
    result = await made.run_shares(plan())
    assert "worker 3" in result.lost[0]
    assert "something unknown" in result.lost[0]
    assert made.lines[2].working.cancelled()


async def test_a_plan_that_a_worker_refuses_is_the_crews_error():
    async def refuse(worker, at):
        if worker.number == 1:
            worker.tell("failed", {"message": "no such file", "usage": True})
            raise Gone(2)

    made = crew(before=refuse)
    with pytest.raises(ConfigurationError, match="no such file"):
        await made.run_shares(plan())
    assert all(line.working.done() for line in made.lines)


async def test_a_worker_that_dies_before_it_begins_ends_the_run():
    async def die(worker, at):
        if worker.number == 0:
            raise Gone(3)

    made = crew(before=die)
    with pytest.raises(WorkerFailed, match="worker 1 ended with code 3 before it began"):
        await made.run_shares(plan())
    assert all(line.working.done() for line in made.lines)


async def test_a_crew_that_is_stopped_before_it_begins_is_canceled():
    registered = asyncio.Event()

    async def register(worker, at):
        await registered.wait()

    made = crew(before=register)
    running = asyncio.ensure_future(made.run_shares(plan()))
    await eventually(lambda: len(made.lines) == 3)
    made.stop_run()
    registered.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert all(line.working.done() for line in made.lines)


async def test_two_real_workers_share_a_run_and_one_may_be_lost(lab, plan_for):
    whole = plan_for(lab, "echo", calls=6, duration=2.0, checks=0)
    told = []
    made = WorkerPool(whole.shares(2), on_second=told.append)
    running = asyncio.ensure_future(made.run_shares(whole))
    await eventually(lambda: running.done() or any(second.up == 6 for second in told))
    os.kill(made.lines[0].pid, signal.SIGKILL)
    result = await running
    assert sum(second.tally.answered for second in told) == 6
    assert result.begun_apart < 5.0, "they wait for one time, whoever was ready first"
    assert len(result.lost) == 1
    assert "3 of 6 calls" in result.lost[0]
    assert told[-1].workers == 1
    for line in made.lines:
        with pytest.raises(ProcessLookupError):
            os.kill(line.pid, 0)
