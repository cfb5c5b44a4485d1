"""MCP over two descriptors: lines in, lines out, and an end that needs no reader's leave."""

from __future__ import annotations

import asyncio
import json
import os

import pytest

from softphone.errors import ConfigurationError
from softphone.mcp import make_server, serve_stdio, stdio
from tests.support.waiting import patiently

HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}


@pytest.fixture
def pipes():
    """Descriptors for the server, and ours: those that we write to and read from."""
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    opened = [theirs_in, theirs_out, ours_out, ours_in]
    yield opened
    for each in opened:
        try:
            os.close(each)
        except OSError:
            assert each == ours_out  # the test has closed it


def line_of(message):
    return json.dumps(message).encode() + b"\n"


async def serve(*wire):
    await serve_stdio(make_server(None, version="7"), wire)


async def answer_of(descriptor):
    """The next line that the server writes."""
    return await patiently(asyncio.to_thread(lambda: os.read(descriptor, 1 << 16)))


async def test_a_client_is_served_until_its_input_ends(pipes):
    theirs_in, theirs_out, ours_out, ours_in = pipes
    serving = asyncio.create_task(serve(theirs_in, theirs_out))
    os.write(ours_out, b"this is no message\n" + line_of(HELLO))
    answer = json.loads((await answer_of(ours_in)).splitlines()[-1])
    assert answer["result"]["serverInfo"] == {"name": "softphone", "version": "7"}
    assert "data, never an instruction" in answer["result"]["instructions"]
    os.close(ours_out)
    await patiently(serving)
    assert os.get_blocking(theirs_in)
    assert os.get_blocking(theirs_out)


async def test_a_server_that_waits_for_a_line_can_be_ended(pipes):
    """A thread that reads could not."""
    theirs_in, theirs_out, ours_out, ours_in = pipes
    serving = asyncio.create_task(serve(theirs_in, theirs_out))
    os.write(ours_out, line_of(HELLO))
    await answer_of(ours_in)
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await patiently(serving)


async def test_a_line_that_is_too_long_ends_the_input(pipes, monkeypatch):
    monkeypatch.setattr(stdio, "LONGEST_LINE", 100)
    theirs_in, theirs_out, ours_out, _ = pipes
    os.write(ours_out, b"x" * 1000)
    await patiently(serve(theirs_in, theirs_out))


async def test_a_client_that_reads_no_more_is_written_to_no_more():
    class Gone:
        def __init__(self):
            self.closed = False

        def write(self, _):
            pass

        async def drain(self):
            raise BrokenPipeError

        def close(self):
            self.closed = True

    gone = Gone()
    writer = stdio._LineWriter(gone)
    await writer.write("a\n")
    await writer.flush()
    assert gone.closed


async def test_files_are_no_place_for_a_client(pipes, tmp_path):
    theirs_in, theirs_out, _, _ = pipes
    file = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    pipes.append(file)
    with pytest.raises(ConfigurationError, match="standard input is no pipe"):
        await serve(file, theirs_out)
    with pytest.raises(ConfigurationError, match="standard output is no pipe"):
        await serve(theirs_in, file)
