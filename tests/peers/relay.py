"""A TCP path between a phone and a peer that a test can cut, freeze and mend."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from types import TracebackType
from typing import Self


class Relay:
    """Carries TCP (and TLS inside it) from `address`, on loopback, to `target`.

    Use as an async context manager in the test's own loop.  `cut()` resets every connection,
    `freeze()` keeps them open and moves not one byte more (a half-dead path), `thaw()` mends
    that, `refuse()` and `admit()` close and open the door for new connections.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self.address = ("127.0.0.1", 0)
        self.connections = 0
        """How many connections came in so far."""
        self._admits = True
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.address = self._server.sockets[0].getsockname()[:2]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Reset every connection, both ways."""
        for writer in self._writers:
            _reset(writer)
        self._writers.clear()

    def freeze(self) -> None:
        """Move no more bytes; connections stay open."""
        self._flowing.clear()

    def thaw(self) -> None:
        """Move bytes again, the held ones first."""
        self._flowing.set()

    def refuse(self) -> None:
        """Reset new connections at once."""
        self._admits = False

    def admit(self) -> None:
        """Take new connections again."""
        self._admits = True

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if not self._admits:
            _reset(writer)
            return
        # A task of our own: Python 3.11 reports one that asyncio.streams has made, and that is
        # canceled, as an exception that nobody has read.
        task = asyncio.create_task(self._carry(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self.target)
        self._writers |= {writer, far_writer}
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, far_writer))
                group.create_task(self._pump(far_reader, writer))
        finally:
            for end in (writer, far_writer):
                self._writers.discard(end)
                end.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()
        if writer.can_write_eof() and not writer.is_closing():
            writer.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    # With a linger time of zero the close is a RST, not a FIN.
    opened = writer.get_extra_info("socket")
    if opened is not None and opened.fileno() >= 0:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
