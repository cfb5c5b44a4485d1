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
"""The most events that wait for one browser; beyond that the oldest are dropped."""
MOST_BROWSERS = 16
"""The most streams at once; a further one is refused with 503."""
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
    """Sends events to browsers; `opening` returns the name and value that begin each stream."""

    def __init__(self, opening: Callable[[], tuple[str, Any]]) -> None:
        self._opening = opening
        self._queues: set[_Queue] = set()
        self._over = False
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def browsers(self) -> int:
        """How many streams are open."""
        return len(self._queues)

    def publish(self, name: str, value: Any) -> None:
        """Send an event, whose value JSON can express, to every browser; waits for none."""
        if self._queues:
            event = encode_event(name, value)
            for queue in self._queues:
                queue.put(event)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Answer one request with events, until the browser leaves or the feed is over.

        Raises HTTPServiceUnavailable beyond `MOST_BROWSERS`.
        """
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
    """Encode a server-sent event whose data is the value as JSON."""
    return f"event: {name}\ndata: {json.dumps(value, separators=(',', ':'))}\n\n".encode()
