"""Commands that a user names: no shell, bounded output, nothing of them left behind."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from softphone.command_output import CommandFailed, command_output
from tests.support.waiting import PATIENCE, until


async def test_what_a_command_prints_comes_back():
    assert await command_output(("cat",), most=300_000, data=b"x" * 300_000) == b"x" * 300_000
    assert await command_output(("echo", "; exit 3"), most=100) == b"; exit 3\n"


async def test_without_data_the_input_is_empty():
    assert await command_output(("cat",), most=100) == b""


async def test_what_is_not_read_of_the_data_is_no_failure():
    assert await command_output(("echo", "said"), most=100, data=b"x" * 2_000_000) == b"said\n"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("false",), "ended with status 1"),
        (("sh", "-c", "kill -9 $$"), "ended with status -9"),
        (("/no/such/program",), "cannot be run: No such file"),
        (("a\0b",), "cannot be run: embedded null byte"),
    ],
)
async def test_a_command_that_fails_is_told(command, said):
    with pytest.raises(CommandFailed, match=f"^{said}"):
        await command_output(command, most=100)


@pytest.mark.parametrize("data", [None, b"", b"x" * 2_000_000])
async def test_a_command_that_prints_without_end_is_killed(data):
    """Whoever reads nothing more of it may not wait for its end in vain: many times over."""
    for most in (0, 1, 65_536, 100_000, 1_000_000):
        async with asyncio.timeout(60):
            with pytest.raises(CommandFailed, match=f"^printed more than {most:,} bytes"):
                await command_output(("yes",), most=most, data=data)


async def test_a_child_in_a_session_of_its_own_that_holds_all_pipes_is_not_waited_for(tmp_path):
    number = tmp_path / "number"
    script = f"setsid sh -c 'echo $$ > {number}; exec sleep 60'"
    running = asyncio.ensure_future(
        command_output(("sh", "-c", script), most=100, data=b"x" * 2_000_000)
    )
    await until(lambda: number.exists() and number.read_text().endswith("\n"))
    running.cancel()
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(asyncio.CancelledError):
            await running
    os.kill(int(number.read_text()), signal.SIGKILL)


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_a_start_that_is_canceled_leaves_no_command(times, monkeypatch):
    """Canceled between the start and its end, however often: the command is ended."""
    loop, started, begun = asyncio.get_running_loop(), [], asyncio.Event()
    real = loop.subprocess_exec

    async def slow(*words, **options):
        transport, protocol = await real(*words, **options)
        started.append(transport)
        begun.set()
        for _ in range(8):
            await asyncio.sleep(0)
        return transport, protocol

    monkeypatch.setattr(loop, "subprocess_exec", slow)
    running = asyncio.ensure_future(command_output(("sleep", "600"), most=100))
    await begun.wait()
    for _ in range(times):
        running.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await running
    assert started[0].get_returncode() == -signal.SIGKILL
