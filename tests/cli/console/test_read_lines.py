"""Lines of standard input, from a pipe or a file."""

from __future__ import annotations

import asyncio
import os

from softphone.cli.console.terminal import read_lines
from tests.support.waiting import PATIENCE


async def read(handle):
    return [line async for line in read_lines(handle)]


async def test_lines_come_as_they_are_written():
    reading, writing = os.pipe()
    task = asyncio.create_task(read(reading))
    for piece in (b"one\ntw", b"o\r\n\n", b"\xff\nlast"):
        os.write(writing, piece)
        await asyncio.sleep(0)
    os.close(writing)
    assert await task == ["one", "two", "", "\ufffd", "last"]
    os.close(reading)


async def test_a_plain_file_is_read_to_its_end_and_a_long_line_is_cut(tmp_path):
    path = tmp_path / "lines"
    path.write_bytes(b"a\n" + b"x" * 200_000 + b"\nb\n")
    with path.open("rb") as file:
        found = await read(file.fileno())
    assert (found[0], found[-1]) == ("a", "b")
    assert max(map(len, found)) <= 1 << 16


async def test_the_loop_goes_on_after_a_line_of_a_terminal():
    """A terminal has one line and then nothing: whatever else there is has its turn."""
    controller, terminal = os.openpty()
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    async def slowly():
        async for line in read_lines(terminal):
            for _ in range(5):
                await asyncio.sleep(0)
            heard.put_nowait(line)

    heard = asyncio.Queue()
    tasks = [asyncio.create_task(tick()), asyncio.create_task(slowly())]
    for number in range(20):
        os.write(controller, b"line %d\n" % number)
        assert await asyncio.wait_for(heard.get(), PATIENCE) == f"line {number}"
        before = ticks
        for _ in range(20):
            await asyncio.sleep(0)
        assert ticks > before
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    os.close(controller)
    os.close(terminal)
