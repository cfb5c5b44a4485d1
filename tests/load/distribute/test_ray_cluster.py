"""Workers as Ray actors, on a cluster of two nodes on this machine, each a process tree."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
from yarl import URL

from softphone.load.distribute import ray_cluster
from softphone.load.distribute.ray_cluster import RayWorker
from softphone.load.distribute.worker_channel import decode_line, encode_line
from tests.load.conftest import eventually, media_addresses
from tests.support.waiting import patiently
from tests.support.website import ask, browser

RAY = Path(sys.executable).parent / "ray"
RAY_WAS_SLOW = "The current node timed out during startup"
"""Ray gives its own processes 30 s, which cannot be set."""
FIRST, SECOND = "127.0.0.2", "127.0.0.3"
"""The nodes' addresses."""


async def test_a_share_speaks_as_a_worker_does():
    """Without Ray: what the actor does."""
    share = RayWorker()
    assert await share.now() > 1.6e9
    await share.say(encode_line("what"))
    assert await share.work() == 2
    assert decode_line(await share.hear())[1]["usage"]
    assert await share.hear() == b""


class Actor:
    """A worker's actor as Ray shows it, on a node whose clock is ahead; answers take their time."""

    def __init__(self, clock, ahead):
        self._clock, self._ahead = clock, ahead
        self._ways = [(0.0, 4.0), (0.5, 0.5), (2.0, 0.0), (9.0, 1.0), (0.0, 3.0)]
        for name in ("now", "node", "work"):
            setattr(self, name, SimpleNamespace(remote=getattr(self, f"_{name}")))

    async def _now(self):
        there, back = self._ways.pop()
        self._clock.now += there
        told = self._clock.now + self._ahead
        self._clock.now += back
        return told

    async def _node(self):
        return "10.0.0.7"

    async def _work(self):
        return 0


async def test_clocks_are_compared_by_the_quickest_answer(monkeypatch):
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(ray_cluster, "time", SimpleNamespace(time=lambda: clock.now))
    actor = Actor(clock, ahead=120.0)
    hiring = SimpleNamespace(options=lambda **_: SimpleNamespace(remote=lambda: actor))
    line = await ray_cluster.RayWorkerChannel.hire(SimpleNamespace(remote=lambda kind: hiring))
    assert line.offset == pytest.approx(120.0), "there and back it took half a second each"
    assert line.node == "10.0.0.7"
    assert await line.wait_for_end() == "ended with code 0"


@contextmanager
def node(log, *arguments):
    """One node of a Ray cluster, once it is up; killed with all its processes."""
    command = [RAY, "start", "--block", "--num-cpus", "2", "--disable-usage-stats", *arguments]
    deadline = time.monotonic() + 240
    process = begin(command, log)
    try:
        while "block forever" not in log.read_text():
            if process.poll() is not None and RAY_WAS_SLOW in log.read_text():
                process = begin(command, log)
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield process
    finally:
        kill(process)


def begin(command, log):
    """A process that leads a session of its own, and whose output goes to a new file."""
    with log.open("w") as told:
        return subprocess.Popen(
            list(map(str, command)), stdout=told, stderr=told, start_new_session=True
        )


def start(command, out, err):
    """A process whose output goes to files."""
    return subprocess.Popen(list(map(str, command)), stdout=out, stderr=err)


def kill(process):
    """Take a node away, as a failing machine would."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


@pytest.fixture
def nodes(tmp_path):
    """The address of a cluster, and its second node's process; each has an address of its own."""
    if find_spec("ray") is None:
        # Of a Python that Ray has wheels for, the test extra brings it.
        pytest.skip("Ray is not installed: pip install '.[test]'")
    with socket.create_server((FIRST, 0)) as probe:
        port = probe.getsockname()[1]
    # Ray's sockets have long names, and a path of theirs may have 107 characters.
    folder = Path("/tmp") / f"ray-{os.getpid()}"
    memory = ("--object-store-memory", 100_000_000, "--node-ip-address")
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        head = ("--head", "--port", port, "--include-dashboard", "false", "--temp-dir", folder)
        stack.enter_context(node(tmp_path / "head.log", *head, *memory, FIRST))
        address = f"{FIRST}:{port}"
        joins = ("--address", address, *memory, SECOND)
        second = stack.enter_context(node(tmp_path / "second.log", *joins))
        yield address, second


async def workers_on_the_page(address):
    """The rows of workers that the page of a run shows a browser."""
    async with browser() as owner:
        _, headers, _ = await ask(owner, "GET", address)
        place = URL(address).origin().join(URL(f"{headers['Location']}events"))
        async with owner.get(place) as answer:
            event = await patiently(answer.content.readuntil(b"\n\n"))
    return json.loads(event.partition(b"data: ")[2])["now"]["workers"]


@pytest.mark.timeout(600)  # two nodes come up in ten seconds, and on a busy machine in minutes
async def test_a_run_is_spread_over_two_nodes_and_survives_the_loss_of_one(
    nodes, lab, plan_for, tmp_path
):
    address, second = nodes
    plan = plan_for(lab, "echo", calls=4)
    command = [
        *(sys.executable, "-m", "softphone", "load", "run", "--json", "--ray", address),
        *("--workers", "4", "--calls", "4", "--rate", "4", "--duration", "12", "--checks", "0"),
        *("--account", lab.accounts["load00001"], "--target", "600"),
        *("--ports", f"{plan.ports[0]}-{plan.ports[1]}", "--host", "node"),
        *("--ui", "0", "--ui-code", tmp_path / "code"),
    ]
    out, err = tmp_path / "out", tmp_path / "err"
    with out.open("w") as told, err.open("w") as complained:
        process = start(command, told, complained)
        try:
            await eventually(
                lambda: process.poll() is not None or '"up": 4' in out.read_text(), within=150
            )
            assert process.poll() is None, err.read_text()
            assert media_addresses(plan.ports).keys() >= {FIRST, SECOND}
            workers = await workers_on_the_page((tmp_path / "code").read_text().strip())
            assert [row["up"] for row in workers] == [1, 1, 1, 1]
            kill(second)
            await eventually(lambda: process.poll() is not None, within=100)
        finally:
            process.kill()
            process.wait()
    summary = json.loads(out.read_text().splitlines()[-1])
    assert (summary["event"], process.returncode) == ("summary", 4)
    assert summary["calls"]["answered"] == 4
    assert summary["workers"]["started"] == 4
    lost = summary["workers"]["lost"]
    assert 1 <= len(lost) <= 3, "workers were on both nodes"
    assert all("1 of 4 calls" in each for each in lost)
    assert summary["workers"]["begun_apart_ms"] < 2000


@pytest.mark.timeout(200)
def test_nobody_at_the_address_and_no_ray_are_said_to_be():
    command = [sys.executable, "-m", "softphone", "load", "run", "--target", "sip:a@127.0.0.1"]
    ended = subprocess.run(
        [*command, "--ray", "127.0.0.1:1"], capture_output=True, text=True, check=False, timeout=170
    )
    assert ended.returncode == 2
    wanted = "pip install" if find_spec("ray") is None else "no cluster answers"
    assert wanted in ended.stderr
