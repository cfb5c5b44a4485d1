"""The process of a media worker, from its start to its end."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from softphone.errors import MediaError
from softphone.media import (
    MediaConfig,
    PortRange,
)
from softphone.media.worker import process_link as module
from softphone.media.worker.process_link import MediaWorkerProcess
from softphone.media.worker.wire_format import MediaWorkerMessage
from tests.support.waiting import PATIENCE, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers need Linux")

CONFIG = MediaConfig(ports=PortRange(45000, 45999), capacity=64)


class Owner:
    """Keeps what a worker says."""

    def __init__(self):
        self.messages, self.reasons = [], []

    def message_received(self, link, message):
        self.messages.append(message)

    def worker_ended(self, link, reason):
        self.reasons.append(reason)


@contextlib.asynccontextmanager
async def started():
    owner = Owner()
    link = MediaWorkerProcess(owner, CONFIG, 0)
    await link.start()
    try:
        yield link, owner
    finally:
        await link.close()


def gone(pid):
    """Whether a process is there no more, or only waits to be looked after."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def inherited(pid):
    """What a process was given: its environment, its command line, how many sockets it has."""
    place = Path(f"/proc/{pid}")
    links = [os.readlink(each) for each in (place / "fd").iterdir()]
    sockets = sum(link.startswith("socket:") for link in links)
    return (place / "environ").read_bytes(), (place / "cmdline").read_bytes(), sockets


def descriptors():
    return len(os.listdir("/proc/self/fd"))


async def test_a_worker_starts_and_nothing_is_left_when_it_is_closed():
    async with started():
        pass  # what a loop makes for its first child, it keeps
    gc.collect()
    before = descriptors()
    async with started() as (link, owner):
        assert link.alive
        assert link.capacity >= 64
        pid = link.process.pid
    assert gone(pid)
    assert owner.reasons == []
    del link, owner
    gc.collect()
    assert descriptors() == before


async def test_nothing_of_ours_is_in_its_environment_or_on_its_command_line(monkeypatch):
    monkeypatch.setenv("SIP_PASSWORD", "correct horse")
    monkeypatch.setenv("TZ", "UTC")
    async with started() as (link, _):
        seen, line, sockets = inherited(link.process.pid)
    names = {item.partition(b"=")[0].decode() for item in seen.split(b"\0") if item}
    assert names <= {*module.INHERITED, "PYTHONPATH"}
    assert "TZ" in names
    assert b"horse" not in seen + line
    # Its end of the pair, and the two by which its loop wakes itself.
    assert sockets == 3


async def test_a_death_is_told_with_the_process():
    async with started() as (link, owner):
        link.process.send_signal(signal.SIGKILL)
        await until(lambda: owner.reasons)
        assert str(link.process.pid) in owner.reasons[0]
        assert not link.alive
        link.send_message(MediaWorkerMessage("reserve", {"host": "127.0.0.1", "count": 1}))
        assert link.wait_for_message("reserved") is None


async def test_a_worker_that_cannot_start_is_an_error_that_says_so(monkeypatch):
    monkeypatch.setattr(module.sys, "executable", "/bin/false")
    before = descriptors()
    with pytest.raises(MediaError, match="before it was ready"):
        await MediaWorkerProcess(Owner(), CONFIG, 0).start()
    monkeypatch.setattr(module.sys, "executable", "/nowhere/python")
    with pytest.raises(MediaError, match="can be started"):
        await MediaWorkerProcess(Owner(), CONFIG, 0).start()
    assert descriptors() <= before + 1


async def test_a_worker_that_is_not_ready_in_time_is_given_up(monkeypatch):
    monkeypatch.setattr(module, "START_TIMEOUT", 0.01)
    link = MediaWorkerProcess(Owner(), CONFIG, 0)
    with pytest.raises(MediaError, match=r"not ready within 0\.01 seconds"):
        await link.start()
    assert link.process is None or gone(link.process.pid)


async def test_a_worker_that_hangs_is_killed_at_the_end(monkeypatch):
    monkeypatch.setattr(module, "CLOSE_TIMEOUT", 0.2)
    async with started() as (link, _):
        link.process.send_signal(signal.SIGSTOP)
        pid = link.process.pid
    assert gone(pid)


ORPHAN = """
import asyncio, sys
from softphone.media.placement import make_engine
from softphone.media.interface import MediaConfig, PortRange, StreamSpec

async def main():
    config = MediaConfig(ports=PortRange(45000, 45999), capacity=64, placement="worker")
    async with make_engine(config) as engine:
        local = engine.allocate_stream()
        engine.open_stream(local.handle, StreamSpec(("127.0.0.1", 9)))
        print(engine.workers[0], local.rtp_port, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


def socket_of_port(port):
    """The inode of the UDP socket at a port of 127.0.0.1, by Linux's table; None without one."""
    place = f"0100007F:{port:04X}"
    lines = (line.split() for line in Path("/proc/net/udp").read_text("ascii").splitlines())
    return next((words[9] for words in lines if words[1] == place), None)


def test_a_worker_does_not_outlive_an_application_that_is_killed():
    parent = subprocess.Popen([sys.executable, "-c", ORPHAN], stdout=subprocess.PIPE, text=True)
    with parent:
        pid, port = (int(word) for word in parent.stdout.readline().split())
        assert not gone(pid)
        taken = socket_of_port(port)
        assert taken is not None
        parent.kill()
    limit = time.monotonic() + PATIENCE
    while not gone(pid) and time.monotonic() < limit:
        time.sleep(0.02)
    assert gone(pid)
    # Others may have the port by now.
    assert socket_of_port(port) != taken
