"""Carries MCP over standard input and output, one message a line.

Lines are read and written by the event loop, since a thread that waits for a line could not be
interrupted.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

from anyio import AsyncFile
from mcp.server.mcpserver import MCPServer
from mcp.server.stdio import stdio_server

from softphone.errors import ConfigurationError

LONGEST_LINE = 1 << 20
"""The most octets of a message; the input ends at a longer one."""


def take_standard_streams() -> tuple[int, int]:
    """Take standard input and output for the messages; return their descriptors.

    From now on whatever else is printed, to the end of the process, goes to standard error.
    """
    wire = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return wire


async def serve_stdio(server: MCPServer[Any], wire: tuple[int, int]) -> None:
    """Serve one client on two descriptors until its input ends.

    Raises ConfigurationError for descriptors that are no pipes, sockets or terminals.
    """
    async with (
        _lines(wire) as (reader, writer),
        # It reads lines of text, and writes and flushes them; it takes no other kind of stream.
        stdio_server(
            cast("AsyncFile[str]", _LineReader(reader)), cast("AsyncFile[str]", _LineWriter(writer))
        ) as (messages, answers),
    ):
        # The SDK's own transports run the server so, too.
        served = server._lowlevel_server
        await served.run(messages, answers, served.create_initialization_options())


@asynccontextmanager
async def _lines(
    wire: tuple[int, int],
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LONGEST_LINE)
    incoming, outgoing = os.fdopen(os.dup(wire[0]), "rb", 0), os.fdopen(os.dup(wire[1]), "wb", 0)
    try:
        input_transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), incoming
        )
    except ValueError as error:
        incoming.close()
        outgoing.close()
        raise ConfigurationError("standard input is no pipe: an MCP client starts this") from error
    try:
        output_transport, protocol = await loop.connect_write_pipe(
            asyncio.streams.FlowControlMixin, outgoing
        )
    except ValueError as error:
        input_transport.close()
        outgoing.close()
        raise ConfigurationError("standard output is no pipe: an MCP client reads it") from error
    try:
        yield reader, asyncio.StreamWriter(output_transport, protocol, None, loop)
    finally:
        input_transport.close()
        output_transport.close()
        os.set_blocking(wire[0], True)
        os.set_blocking(wire[1], True)


class _LineReader:
    """Iterates over the lines of a stream as text; ends at one that is too long."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    async def __aiter__(self) -> AsyncIterator[str]:
        try:
            while line := await self._reader.readline():
                yield line.decode("utf-8", "replace")
        except ValueError:
            return


class _LineWriter:
    """Writes text to a stream; a client that has gone is written to no more."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    async def write(self, text: str) -> None:
        """Queue a text."""
        self._writer.write(text.encode())

    async def flush(self) -> None:
        """Wait until the client has read enough."""
        try:
            await self._writer.drain()
        except ConnectionError:
            self._writer.close()
