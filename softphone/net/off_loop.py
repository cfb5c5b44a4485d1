"""Where a document is read: in this thread when it is small, else beside the loop.

What came over the network may be megabytes; reading it takes tens of milliseconds, and a call has
a packet every twenty.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

LARGE = 1 << 16
"""Bytes that are read in a thread: below it takes less than about a millisecond."""


async def run_by_size(
    size: int, function: Callable[P, T], *arguments: P.args, **named: P.kwargs
) -> T:
    """Call a function that reads so many bytes, in a thread when they are LARGE or more.

    It must not touch what the loop works on.  Raises what the function raises.
    """
    if size < LARGE:
        return function(*arguments, **named)
    return await asyncio.to_thread(function, *arguments, **named)
