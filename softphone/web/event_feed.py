"""Server-sent events to browsers, each with a bounded queue: a slow one misses the oldest."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiohttp import web

QUEUED = 8
"""Events that wait for one browser."""
MOST_BROWSERS = 16
"""Streams at once; a further one is refused."""
PATIENCE = 20.0
"""Seconds in which a browser must take an event."""


class _Queue:
    """The events that wait for one browser."""

    def __init__(self) -> None:
        self.events: deque[bytes] = deque(maxlen=QUEUED)
        self.ready = asyncio.Event()

    def put(self, event: bytes) -> None:
        self.events.append(event)
        self.ready.set()


class EventFeed:
    """Streams of events; `opening` gives the name and value with which each stream begins."""

    def __init__(self, opening: Callable[[], tuple[str, Any]]) -> None:
        self._opening = opening
        self._queues: set[_Queue] = set()
        self._over = False
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def browsers(self) -> int:
        """How many browsers take events."""
        return len(self._queues)

    def publish(self, name: str, value: Any) -> None:
        """Send an event to every browser, without waiting for any."""
        if self._queues:
            event = encode_event(name, value)
            for queue in self._queues:
                queue.put(event)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Answer one request with events, until the browser leaves or the feed is over."""
        from aiohttp import web

        if self._over or len(self._queues) >= MOST_BROWSERS:
            raise web.HTTPServiceUnavailable(text="there are too many streams")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        queue = _Queue()
        self._queues.add(queue)
        self._empty.clear()
        try:
            with suppress(TimeoutError, OSError):
                await response.prepare(request)
                queue.put(encode_event(*self._opening()))
                await self._pump(queue, response)
        finally:
            self._queues.discard(queue)
            if not self._queues:
                self._empty.set()
        return response

    async def _pump(self, queue: _Queue, response: web.StreamResponse) -> None:
        while queue.events or not self._over:
            await queue.ready.wait()
            while queue.events:
                async with asyncio.timeout(PATIENCE):
                    await response.write(queue.events.popleft())
            queue.ready.clear()

    async def finish(self, patience: float) -> None:
        """End all streams, those of slow browsers after `patience` seconds."""
        self._over = True
        for queue in self._queues:
            queue.ready.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._empty.wait()


def encode_event(name: str, value: Any) -> bytes:
    """Encode an event whose data are JSON."""
    return f"event: {name}\ndata: {json.dumps(value, separators=(',', ':'))}\n\n".encode()
