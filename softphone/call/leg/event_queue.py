"""A bounded event queue: one writer, any number of async iterators.

A reader that starts late first gets the last `capacity` events.  A reader slower than the writer
misses the oldest; `missed` counts them.  After `close`, iteration ends once the rest has been read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

E = TypeVar("E")


class EventCursor(Generic[E]):
    """A reader's place in a queue: `position` counts the events before it."""

    def __init__(self, queue: EventQueue[E]) -> None:
        self._queue = queue
        self.position = queue.oldest

    def take(self) -> E | None:
        """Return the next event, or None for none yet; lost ones are counted and passed over."""
        queue = self._queue
        oldest = queue.oldest
        if self.position < oldest:
            queue.missed += oldest - self.position
            self.position = oldest
        if self.position == queue.written:
            return None
        self.position += 1
        return queue._events[self.position - 1 - oldest]


class EventQueue(Generic[E]):
    """Delivers events to every iterator; `missed` counts those lost to slow readers."""

    def __init__(self, capacity: int = 256) -> None:
        # Empty, a list and a dictionary take a seventh of the memory of a deque and a set, and
        # every call has a queue.
        self._events: list[E] = []
        self._capacity = capacity
        self._written = 0
        self._waiters: dict[asyncio.Future[None], None] = {}
        self._closed = False
        self.missed = 0

    @property
    def closed(self) -> bool:
        """Whether nothing more will be written."""
        return self._closed

    @property
    def written(self) -> int:
        """How many events were written."""
        return self._written

    @property
    def oldest(self) -> int:
        """The number of the oldest event that is kept, from 0."""
        return self._written - len(self._events)

    def put_event(self, event: E) -> None:
        """Write one event; does nothing after `close`."""
        if self._closed:
            return
        if len(self._events) == self._capacity:
            del self._events[0]
        self._events.append(event)
        self._written += 1
        if self._waiters:
            self._wake()

    def close(self) -> None:
        """End every iteration once it has read what is there."""
        self._closed = True
        if self._waiters:
            self._wake()

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    async def events(self) -> AsyncIterator[E]:
        """Iterate over every event still kept, then every new one, until the queue is closed."""
        cursor = EventCursor(self)
        while True:
            event = cursor.take()
            if event is not None:
                yield event
            elif self._closed:
                return
            else:
                await self.wait_for_event()

    async def wait_for_event(self) -> None:
        """Wait for the next event, or the end."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.add_waiter(waiter)
        try:
            await waiter
        finally:
            self.remove_waiter(waiter)

    def add_waiter(self, waiter: asyncio.Future[None]) -> None:
        """Resolve a future at the next event or the end; it may be registered elsewhere, too."""
        self._waiters[waiter] = None

    def remove_waiter(self, waiter: asyncio.Future[None]) -> None:
        """Forget a future; an unknown one is ignored."""
        self._waiters.pop(waiter, None)
