"""Keeps the last messages of each connection, to show those of calls that fail.

Octets are kept as they come, so that calls that succeed cost next to nothing: they are split into
messages, and masked, only for a call that has failed.
"""

from __future__ import annotations

import re
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from softphone.diagnostics import Ladder
from softphone.diagnostics.message_tap import LadderEntry
from softphone.load.measure import FailedCall
from softphone.rate_limit import TokenBucket
from softphone.sans_io import Address, Flow, Transport

MOST_OF_FLOW = 48 << 10
"""The most octets that are kept of one connection: enough for some calls."""
MOST_OF_ALL = 32 << 20
"""The most octets that are kept of all connections."""
SHOWN_A_SECOND = 2.0
"""Failed calls that are shown, on average; more would take processor time from the run."""
BURST = 8.0
"""Failed calls that are shown at once, at most."""

_START = re.compile(rb"SIP/2\.0 |[A-Z]{3,16} sips?:")


@dataclass(slots=True)
class _Recent:
    """The last pieces of one connection: the flow, the direction, the time and the octets."""

    pieces: deque[tuple[Flow, bool, float, bytes]] = field(default_factory=deque)
    size: int = 0

    def drop_first(self) -> int:
        """Forget the oldest piece; returns its size."""
        dropped = len(self.pieces.popleft()[3])
        self.size -= dropped
        return dropped


class _CallLadder(Ladder):
    """A ladder of one call's messages."""

    def __init__(self, call_id: str) -> None:
        super().__init__(local="load", limit=100)
        self._call_id = call_id

    def add(self, entry: LadderEntry) -> None:
        """Keep a message, if it is of the call."""
        if self._call_id in entry.text:
            super().add(entry)


class FailureTrace:
    """A `softphone.sans_io.Tap`; `add_failure` passes a call that failed on to `tell`.

    `clock` gives seconds since the run began.
    """

    def __init__(self, tell: Callable[[FailedCall], None], clock: Callable[[], float]) -> None:
        self._tell = tell
        self._clock = clock
        self._flows: OrderedDict[tuple[Transport, Address], _Recent] = OrderedDict()
        self._size = 0
        self._bucket = TokenBucket(rate=SHOWN_A_SECOND, burst=BURST)

    def signaling(self, data: bytes, *, flow: Flow, outgoing: bool, now: float) -> None:
        """Keep what was sent or received, and forget what is oldest beyond the limits."""
        key = (flow.transport, flow.local)
        recent = self._flows.get(key)
        if recent is None:
            recent = self._flows[key] = _Recent()
        self._flows.move_to_end(key)
        recent.pieces.append((flow, outgoing, now, bytes(data)))
        recent.size += len(data)
        self._size += len(data)
        while recent.size > MOST_OF_FLOW:
            self._size -= recent.drop_first()
        while self._size > MOST_OF_ALL:
            _, oldest = self._flows.popitem(last=False)
            self._size -= oldest.size

    def datagram(
        self, data: bytes, *, local: Address, remote: Address, outgoing: bool, now: float
    ) -> None:
        """Ignore media."""

    def add_failure(self, call_id: str, cause: str) -> None:
        """Pass on a call that failed, with its messages, within the limit on the rate."""
        at = self._clock()
        if not self._bucket.admit(now=at):
            return
        ladder = self._ladder_of(call_id)
        self._tell(FailedCall(at, cause, call_id, ladder.text(), ladder.transcript()))

    def _ladder_of(self, call_id: str) -> Ladder:
        ladder = _CallLadder(call_id)
        wanted = call_id.encode()
        for recent in reversed(self._flows.values()):
            if wanted and any(wanted in piece[3] for piece in recent.pieces):
                _replay(recent, ladder)
                break
        return ladder


def _replay(recent: _Recent, ladder: Ladder) -> None:
    """Add the pieces to a ladder, in each direction from the first that begins a message."""
    begun = set()
    for flow, outgoing, at, data in recent.pieces:
        if outgoing not in begun and not _START.match(data):
            continue
        begun.add(outgoing)
        ladder.signaling(data, flow=flow, outgoing=outgoing, now=at)
