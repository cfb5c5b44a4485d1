"""Lines of standard input, from a pipe or a file."""

from __future__ import annotations

import asyncio
import os

from softphone.cli.lines import lines


async def read(handle):
    return [line async for line in lines(handle)]


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
