"""Lines from standard input, a terminal's or a pipe's, without holding the event loop."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator

__all__ = ["read_lines"]

_MOST = 1 << 16
_PIECE = 4096


async def read_lines(handle: int) -> AsyncIterator[str]:
    """Each line, without its end, until the end of input; a longer one is cut at 64 KiB."""
    data = b""
    while True:
        piece = await _read(handle)
        data += piece
        while b"\n" in data or len(data) >= _MOST or (not piece and data):
            line, _, data = data.partition(b"\n")
            yield line[:_MOST].decode(errors="replace").rstrip("\r")
        if not piece:
            return


async def _read(handle: int) -> bytes:
    """What is there, once something is; b"" at the end.

    It is read where the loop says that it is readable and nowhere later: a second call for the
    same input would find none, and hold the loop until somebody types again.
    """
    loop = asyncio.get_running_loop()
    read: asyncio.Future[bytes] = loop.create_future()

    def readable() -> None:
        loop.remove_reader(handle)
        if read.done():
            return
        try:
            read.set_result(os.read(handle, _PIECE))
        except OSError as error:
            if error.errno == errno.EIO:  # the terminal was closed
                read.set_result(b"")
            else:
                read.set_exception(error)

    try:
        loop.add_reader(handle, readable)
    except PermissionError:
        return os.read(handle, _PIECE)  # a plain file: it is always ready
    try:
        return await read
    finally:
        loop.remove_reader(handle)
