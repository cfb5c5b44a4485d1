"""How many handshakes are at work at once, and for how long a slow one may keep the others out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

__all__ = ["HandshakeSlots"]


class HandshakeSlots:
    """At most `count` handshakes at work at once.

    A slow far end keeps its slot for `patience` seconds only, so that a few of them do not keep
    everybody out; how many may be unfinished is bounded apart, by `waiting`.
    """

    def __init__(self, count: int, waiting: int, *, patience: float = 1.0) -> None:
        self._slots = asyncio.Semaphore(count)
        self._waiting = asyncio.Semaphore(waiting)
        self._patience = patience

    @asynccontextmanager
    async def hold_slot(self) -> AsyncIterator[None]:
        """Hold a slot, for `patience` seconds at most."""
        async with self._waiting:
            await self._slots.acquire()
            held = [True]

            def release() -> None:
                if held:
                    held.clear()
                    self._slots.release()

            timer = asyncio.get_running_loop().call_later(self._patience, release)
            try:
                yield
            finally:
                timer.cancel()
                release()
