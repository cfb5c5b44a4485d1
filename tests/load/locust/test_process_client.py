"""The call process as its Locust process sees it: a child, which is asked and awaited."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import threading

import pytest

from softphone.errors import ConfigurationError, LocalProtocolError
from softphone.load import BaseSpec, LoadPlan, UserSpec
from softphone.load.locust import process_client
from softphone.load.locust.process_client import (
    CallProcess,
    CallProcessLost,
    SharedCallProcess,
    StepRefused,
)
from tests.load.conftest import eventually

PLAN = LoadPlan("locust", "", BaseSpec(account="alice.toml"), (UserSpec("sip:alice@pbx.test"),))


def child(*lines):
    """A command that reads a plan, and then says lines; `wait` waits for the end of its input."""
    program = "import sys\nsys.stdin.readline()\n"
    for line in lines:
        if line == "wait":
            program += "sys.stdin.read()\n"
        elif line == "step":
            program += "sys.stdin.readline()\n"
        else:
            program += f"print({line!r}, flush=True)\n"
    return (sys.executable, "-c", program)


READY = '{"ready": null}'


async def test_real_calls_by_a_child(lab, plan_for):
    plan = plan_for(lab, "echo", tolerate_late=100.0)
    process = await asyncio.to_thread(CallProcess, plan)

    def call():
        process.run_step("register", user=0)
        step = process.begin_step("dial", user=0, target="600")
        assert process.await_step(step)["suite"] == "AEAD_AES_256_GCM"
        assert process.run_step("talk", call=step, seconds=0.3) == {"up": True}
        with pytest.raises(StepRefused, match="no such user") as refused:
            process.run_step("dial", user=0, target="999")
        assert refused.value.cause == "404 Not Found"
        return process.run_step("end", call=step)

    assert (await asyncio.to_thread(call))["cause"] == ""
    assert await asyncio.to_thread(process.close) == ()
    assert lab.registered == {}


async def test_a_child_whose_locust_is_killed_hangs_up_and_unregisters(lab, plan_for):
    """The end of its input is all that it has; here a process between the two dies."""
    plan = plan_for(lab, "echo", tolerate_late=100.0)
    parent = (
        "import json, sys, threading\n"
        "from softphone.load import LoadPlan\n"
        "from softphone.load.locust.process_client import CallProcess\n"
        "process = CallProcess(LoadPlan.from_plain(json.loads(sys.stdin.readline())))\n"
        "process.run_step('register', user=0)\n"
        "process.run_step('dial', user=0, target='600')\n"
        "print('up', flush=True)\n"
        "threading.Event().wait()\n"
    )
    pipe = asyncio.subprocess.PIPE
    between = await asyncio.create_subprocess_exec(
        sys.executable, "-c", parent, stdin=pipe, stdout=pipe
    )
    between.stdin.write(json.dumps(plan.to_plain()).encode() + b"\n")
    assert await between.stdout.readline() == b"up\n"
    assert (lab.calls, len(lab.registered)) == (1, 1)
    between.kill()
    await between.wait()
    await eventually(lambda: lab.calls == 0 and not lab.registered)


def test_a_plan_that_is_refused_is_the_users_fault():
    with pytest.raises(ConfigurationError, match=r"alice\.toml"):
        CallProcess(PLAN)


def test_reasons_why_a_run_is_invalid_come_with_the_end():
    process = CallProcess(PLAN, child(READY, "wait", '{"over": ["too slow"]}'))
    assert process.pid > 0
    assert process.close() == ("too slow",)


def test_a_child_that_ends_by_itself_is_lost():
    with pytest.raises(CallProcessLost, match="ended with code 0"):
        CallProcess(PLAN, child())


def test_one_that_does_not_start_is_lost(monkeypatch):
    monkeypatch.setattr(process_client, "START_PATIENCE", 0.1)
    with pytest.raises(CallProcessLost, match="did not start"):
        CallProcess(PLAN, child("wait"))


def test_steps_of_a_lost_child_fail(caplog):
    process = CallProcess(PLAN, child(READY, "wait"))
    waiting = process.begin_step("talk", call=1, seconds=9)
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(CallProcessLost, match="ended with code -9"):
        process.await_step(waiting)
    with pytest.raises(CallProcessLost, match="ended with code -9"):
        process.run_step("end", call=1)
    assert process.close() == ()


@pytest.mark.parametrize("line", ["no JSON", '{"dance": 1}'])
def test_a_child_that_says_something_unknown_is_killed(line):
    process = CallProcess(PLAN, child(READY, "step", line, "wait"))
    with pytest.raises(CallProcessLost, match="said something unknown"):
        process.run_step("talk", call=1, seconds=1)
    assert process.close() == ()


def test_one_that_does_not_end_is_killed(monkeypatch):
    monkeypatch.setattr(process_client, "LAST_WORDS", 0.1)
    command = (sys.executable, "-c", f"print({READY!r}, flush=True); import time; time.sleep(600)")
    assert CallProcess(PLAN, command).close() == ()


def test_what_it_logs_is_passed_on(caplog):
    command = (
        sys.executable,
        "-c",
        f"import sys; print('late', file=sys.stderr); print({READY!r})",
    )
    with caplog.at_level(logging.WARNING, "softphone.load"):
        CallProcess(PLAN, command).close()
    assert "late" in caplog.text


def test_a_wait_that_is_interrupted_cancels_the_step(monkeypatch, caplog):
    """As Locust's kill of a user does, which raises in the wait."""
    late = '{"done": [1, {}]}'
    program = (
        f"import sys; sys.stdin.readline(); print({READY!r}, flush=True)\n"
        "said = [sys.stdin.readline() for _ in range(2)]\n"
        f"print({late!r}, flush=True); print(*said, file=sys.stderr)\n"
    )
    process = CallProcess(PLAN, (sys.executable, "-c", program))
    number = process.begin_step("talk", call=1, seconds=9)

    class Killed(BaseException):
        pass

    def wait():
        raise Killed

    monkeypatch.setattr(process._replies[number].done, "wait", wait)
    with pytest.raises(Killed):
        process.await_step(number)
    with caplog.at_level(logging.WARNING, "softphone.load"):
        assert process.close() == ()
    assert '{"cancel":1}' in caplog.text


def test_users_share_one_child_which_ends_with_the_last(monkeypatch):
    made = []

    def make(plan):
        made.append(CallProcess(plan, child(READY, "wait", '{"over": ["slow"]}')))
        return made[-1]

    monkeypatch.setattr(process_client, "CallProcess", make)
    shared = SharedCallProcess()
    users = [threading.Thread(target=shared.acquire, args=[lambda: PLAN]) for _ in range(3)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    assert len(made) == 1
    assert shared.acquire(lambda: PLAN) is made[0]
    assert [shared.release() for _ in range(4)] == [(), (), (), ("slow",)]
    with pytest.raises(LocalProtocolError, match="no user"):
        shared.release()
    shared.acquire(lambda: PLAN)
    assert len(made) == 2
    assert shared.release() == ("slow",)
