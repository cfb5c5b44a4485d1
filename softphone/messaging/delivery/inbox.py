"""The inbox: received messages that the application has not read, bounded, with back pressure.

A slow application pauses the stream, so that messages wait at the server.  For an application that
never reads, only the latest messages are kept, so that sending is not blocked.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from softphone.messaging.message import Message

A = TypeVar("A")
HIGH, LOW = 1024, 512


class Inbox(Generic[A]):
    """Two queues with a common limit: arrivals to be checked, and messages to be shown.

    `hold(True)` is called when `high` items wait, `hold(False)` when only `low` are left.
    """

    def __init__(self, hold: Callable[[bool], None], *, high: int = HIGH, low: int = LOW) -> None:
        self._hold = hold
        self._high, self._low = high, low
        self._arrived: deque[A] = deque()
        self._shown: deque[Message] = deque()
        self._news = asyncio.Event()
        self._messages = asyncio.Event()
        self._held = False
        self._read = False
        self._sending = 0
        self._ended = False
        self.dropped = 0
        """The number of messages dropped because the application does not read."""

    def __len__(self) -> int:
        return len(self._arrived) + len(self._shown)

    def add_arrival(self, item: A) -> None:
        """Queue an arrival for the check by policy."""
        self._arrived.append(item)
        self._news.set()
        self._weigh()

    async def next_arrival(self) -> A:
        """Wait for the next arrival, and remove it from the queue."""
        while not self._arrived:
            self._news.clear()
            await self._news.wait()
        return self._arrived.popleft()

    def add_message(self, message: Message) -> None:
        """Queue a message for the application.

        If the application has never read, the oldest message is dropped above half of `high`.
        """
        self._shown.append(message)
        if not self._read and len(self._shown) > self._high // 2:
            self._shown.popleft()
            self.dropped += 1
        self._messages.set()
        self._weigh()

    async def next_message(self) -> Message | None:
        """Wait for the next message, and remove it from the queue; None after `end`."""
        self._read = True
        while not self._shown:
            if self._ended:
                return None
            self._messages.clear()
            await self._messages.wait()
        message = self._shown.popleft()
        self._weigh()
        return message

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Double the limit while sending, so that the acknowledgment can be received."""
        self._sending += 1
        self._weigh()
        try:
            yield
        finally:
            self._sending -= 1
            self._weigh()

    def end(self) -> None:
        """End the inbox: `next_message` returns None once the queue is empty."""
        self._ended = True
        self._messages.set()

    def reading_resumed(self) -> None:
        """Record that a new connection reads again; hold it if the queues are still full."""
        self._held = False
        self._weigh()

    def _weigh(self) -> None:
        high = self._high * 2 if self._sending else self._high
        if not self._held and len(self) >= high:
            self._held = True
            self._hold(True)
        elif self._held and len(self) <= (high // 2 if self._sending else self._low):
            self._held = False
            self._hold(False)
