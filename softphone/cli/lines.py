"""Lines from standard input, a terminal's or a pipe's, without holding the event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

__all__ = ["lines"]

_MOST = 1 << 16


async def lines(handle: int) -> AsyncIterator[str]:
    """Each line, without its end, until the end of input; a longer one is cut at 64 KiB."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    watched = True
    try:
        loop.add_reader(handle, ready.set)
    except PermissionError:
        watched = False  # a plain file: it is always ready
    data = b""
    try:
        while True:
            if watched:
                await ready.wait()
                ready.clear()
            piece = os.read(handle, 4096)
            data += piece
            while b"\n" in data or len(data) >= _MOST or (not piece and data):
                line, _, data = data.partition(b"\n")
                yield line[:_MOST].decode(errors="replace").rstrip("\r")
            if not piece:
                return
    finally:
        if watched:
            loop.remove_reader(handle)
