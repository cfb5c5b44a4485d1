"""The line to a worker that is a process: words both ways, and how it ended."""

from __future__ import annotations

import signal
import sys

import pytest

from softphone.load.distribute.worker_channel import LocalWorkerChannel

ECHO = "import sys; print(sys.stdin.readline().upper(), end='', flush=True); sys.stdin.read()"


@pytest.fixture
async def line():
    made = await LocalWorkerChannel.hire((sys.executable, "-c", ECHO))
    yield made
    made.kill()
    await made.wait_for_end()


async def test_lines_go_both_ways_until_it_is_dismissed(line):
    line.send_line(b"hello\n")
    assert await line.receive_line() == b"HELLO\n"
    line.close_input()
    assert await line.receive_line() == b""
    assert await line.wait_for_end() == "ended with code 0"
    line.send_line(b"nobody hears this\n")
    line.kill()


async def test_one_that_is_killed_says_so(line):
    line.kill()
    assert await line.receive_line() == b""
    assert await line.wait_for_end() == "killed by SIGKILL"
    assert line.offset == 0.0


async def test_a_signal_without_a_name_ends_a_worker_like_any_other():
    number = signal.SIGRTMIN + 3
    ends = f"import os; os.kill(os.getpid(), {number})"
    line = await LocalWorkerChannel.hire((sys.executable, "-c", ends))
    assert await line.wait_for_end() == f"killed by signal {number}"


async def test_what_a_worker_writes_to_standard_error_is_logged_here(caplog, capfd):
    words = "import sys; sys.stderr.write('it is\\nlate\\n' + 'x' * 9 + '\\n\\n'); sys.exit(3)"
    line = await LocalWorkerChannel.hire((sys.executable, "-c", words))
    assert await line.wait_for_end() == "ended with code 3"
    told = [record.getMessage() for record in caplog.records]
    assert told == [f"load worker {line.pid}: {text}" for text in ("it is", "late", "x" * 9)]
    assert capfd.readouterr().err == ""
