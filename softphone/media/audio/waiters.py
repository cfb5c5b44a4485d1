"""Wakes the tasks of one event loop that wait for a change."""

from __future__ import annotations

import asyncio


class Waiters:
    """The waiting tasks, oldest first; they do not poll."""

    def __init__(self) -> None:
        self._futures: dict[asyncio.Future[None], None] = {}

    def __len__(self) -> int:
        return len(self._futures)

    async def wait(self) -> None:
        """Wait for the next `wake`."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._futures[waiter] = None
        try:
            await waiter
        finally:
            self._futures.pop(waiter, None)

    def add_waiter(self, waiter: asyncio.Future[None]) -> None:
        """Resolve a future at the next `wake`; it may be registered elsewhere, too."""
        self._futures[waiter] = None

    def remove_waiter(self, waiter: asyncio.Future[None]) -> None:
        """Forget a future; an unknown one is ignored."""
        self._futures.pop(waiter, None)

    def wake(self) -> None:
        """Wake all waiting tasks, which check their condition again."""
        for waiter in self._futures:
            if not waiter.done():
                waiter.set_result(None)
