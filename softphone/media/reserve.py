"""Streams that a media worker has reserved ahead of need, so that a call need not wait for one.

`Reserve` keeps some for each local address; where they have run out it waits for the worker, with
the whole loop, some milliseconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from softphone.media.message import Message
from softphone.media.port import MediaError, NoPortFree

__all__ = ["Reserve", "Reserved"]

MOST: Final = 32
"""Streams that are kept ready for a local address."""


@dataclass(frozen=True, slots=True)
class Reserved:
    """A stream of the worker's, by its own row and generation, with its ports."""

    row: int
    generation: int
    host: str
    rtp_port: int
    rtcp_port: int
    ssrc: int


class Worker(Protocol):
    """What is needed of the link to the worker."""

    def send(self, message: Message, descriptors: Sequence[int] = ()) -> None:
        """Send a command."""

    def wait(self, kind: str) -> Message | None:
        """Wait for a message of a kind."""


class Reserve:
    """The reserved streams of one worker with `capacity` rows."""

    def __init__(self, link: Worker, capacity: int) -> None:
        self._link = link
        self._size = max(1, min(MOST, capacity // 8))
        self._ready: dict[str, deque[Reserved]] = {}
        self._asked: dict[str, int] = {}
        self._refusals: dict[str, str] = {}

    def fill(self, host: str) -> None:
        """Ask for more where less than half is left."""
        left = len(self._ready.setdefault(host, deque()))
        if 2 * left <= self._size and not self._asked.get(host):
            self._asked[host] = 1
            fields = {"host": host, "count": self._size - left}
            self._link.send(Message("reserve", fields))

    def take(self, host: str) -> Reserved:
        """Take one out.  Raises NoPortFree, or MediaError when the worker does not answer."""
        self.fill(host)
        ready = self._ready[host]
        while not ready and self._asked.get(host):
            message = self._link.wait("reserved")
            if message is None:
                raise MediaError("the media worker does not answer: no call can be made now")
            self.told(message.fields)
        if not ready:
            raise NoPortFree(self._refusals.get(host, "the media worker has no stream left"))
        return ready.popleft()

    def told(self, fields: dict[str, Any]) -> None:
        """Take what the worker says that it has reserved."""
        host = fields["host"]
        self._asked.pop(host, None)
        self._ready.setdefault(host, deque()).extend(Reserved(*each) for each in fields["streams"])
        if fields["error"]:
            self._refusals[host] = fields["error"]
