"""Streams that a media worker has reserved ahead of need, so that a call need not wait for one.

`StreamReserve` keeps some for each local address.  When none is left, it blocks the event loop for
some milliseconds until the worker reserves more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from softphone.errors import MediaError, NoPortFree
from softphone.media.worker.wire_format import MediaWorkerMessage

LEAST: Final = 4
MOST: Final = 32
"""Streams that are kept ready for a local address: a quarter of those that were taken, within
these bounds.  Each has a row, and fills the phases of the worker's bank like one that is open."""


@dataclass(frozen=True, slots=True)
class ReservedStream:
    """A stream by the worker's own row and generation, with its ports and SSRC."""

    row: int
    generation: int
    host: str
    rtp_port: int
    rtcp_port: int
    ssrc: int


class WorkerConnection(Protocol):
    """The parts of the link to the worker that a reserve uses."""

    def send_message(self, message: MediaWorkerMessage, descriptors: Sequence[int] = ()) -> None:
        """Send a command."""

    def wait_for_message(self, kind: str) -> MediaWorkerMessage | None:
        """Block until a message of `kind` arrives; None if it does not."""


class StreamReserve:
    """The reserved streams of one worker with `capacity` rows."""

    def __init__(self, link: WorkerConnection, capacity: int) -> None:
        self._link = link
        self._most = max(1, min(MOST, capacity // 8))
        self._taken: dict[str, int] = {}
        self._ready: dict[str, deque[ReservedStream]] = {}
        self._asked: set[str] = set()
        self._refusals: dict[str, str] = {}

    def request_streams(self, host: str) -> None:
        """Request more streams for a host if half or less of its reserve is left."""
        left = len(self._ready.setdefault(host, deque()))
        size = min(self._most, max(LEAST, self._taken.get(host, 0) // 4))
        if 2 * left <= size and host not in self._asked:
            self._asked.add(host)
            self._link.send_message(
                MediaWorkerMessage("reserve", {"host": host, "count": size - left})
            )

    def take_stream(self, host: str) -> ReservedStream:
        """Remove and return a reserved stream.

        Raises NoPortFree, or MediaError when the worker does not answer.
        """
        self.request_streams(host)
        ready = self._ready[host]
        while not ready and host in self._asked:
            message = self._link.wait_for_message("reserved")
            if message is None:
                raise MediaError("the media worker does not answer: no call can be made now")
            self.add_reserved(message.fields)
        if not ready:
            raise NoPortFree(self._refusals.get(host, "the media worker has no stream left"))
        self._taken[host] = self._taken.get(host, 0) + 1
        return ready.popleft()

    def add_reserved(self, fields: dict[str, Any]) -> None:
        """Add the streams of a "reserved" message, and remember its error."""
        host = fields["host"]
        self._asked.discard(host)
        self._ready.setdefault(host, deque()).extend(
            ReservedStream(*each) for each in fields["streams"]
        )
        if fields["error"]:
            self._refusals[host] = fields["error"]
