"""Waiting by polling, for conditions without an event, on a busy machine.

A limit here keeps a test from hanging and judges nothing: it is far more than any machine needs.
Where a test judges time, the time is virtual, or a count that does not depend on the processor.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

PATIENCE = 40.0
"""Seconds after which a wait is given up."""

T = TypeVar("T")


async def until(condition: Callable[[], object], *, within: float = PATIENCE) -> None:
    """Let the loop turn until `condition()` holds."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - a counter sets no event that one could await
            await asyncio.sleep(0.002)


async def patiently(waited: Awaitable[T]) -> T:
    """What `waited` gives, within PATIENCE."""
    return await asyncio.wait_for(waited, PATIENCE)


async def stands_still(count: Callable[[], int], clock: Callable[[], int], *, ticks: int) -> None:
    """Wait until `count` does not grow while `clock`, another counter, goes on by `ticks`.

    Both are counts of one process, so that it does not matter when they get here.
    """
    async with asyncio.timeout(PATIENCE):
        while True:
            before, began = count(), clock()
            await until(lambda began=began: clock() >= began + ticks)
            if count() == before:
                return
