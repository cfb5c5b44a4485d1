"""Runs what would hold up the event loop in a thread: parsing, and work on files.

A document from the network may be megabytes; parsing it takes tens of milliseconds, and a call has
a packet every 20 ms.  What is small is parsed at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

LARGE = 1 << 16
"""Octets from which a thread is used; parsing less takes less than about a millisecond."""


async def run_by_size(
    size: int, function: Callable[P, T], *arguments: P.args, **named: P.kwargs
) -> T:
    """Call a function that parses so many octets, in a thread when they are LARGE or more.

    It must not touch what the event loop works on.  Raises what the function raises.
    """
    if size < LARGE:
        return function(*arguments, **named)
    return await asyncio.to_thread(function, *arguments, **named)


async def run_to_end(
    function: Callable[..., T], *arguments: object, undo: Callable[[T], object] | None = None
) -> T:
    """Call a function in a thread; a caller that is cancelled meanwhile still waits for its end.

    A thread cannot be stopped: it would write on into a folder that the caller has removed, or open
    what nobody closes.  `undo` then gets the result, which no one else does.  Raises what the
    function raises; the function must not wait for anything but the disk or a device.
    """
    running = asyncio.ensure_future(asyncio.to_thread(function, *arguments))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([running])
        if running.exception() is None and undo is not None:
            undo(running.result())
        raise
