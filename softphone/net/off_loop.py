"""Runs the parsing of a document in this thread if it is small, else in a worker thread.

A document from the network may be megabytes; parsing it takes tens of milliseconds, and a call has
a packet every 20 ms.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
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
