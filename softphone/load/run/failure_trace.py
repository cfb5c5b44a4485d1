"""Keeps the last messages of each connection, to show those of calls that fail.

Octets are kept as they come, so that calls that succeed cost next to nothing: they are split into
messages, and masked, only for a call that has failed.  That takes a millisecond or two, so when
many fail their octets wait, and are shown a few a second, the rest when the run is over.
"""

from __future__ import annotations

import re
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeAlias

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
"""Failed calls that are shown at once, at most; others wait."""
MOST_WAITING = 16 << 20
"""The most octets of failed calls that wait to be shown."""
LEAST_SIZE = 512
"""What a waiting call counts for at the least."""
LOOKED_AT = 32
"""Connections, the last used ones, in which a call that has to wait is looked for at once."""
SHOWN_WITHIN = 2.0
"""Seconds that showing what waits may take when the run is over."""

_START = re.compile(rb"SIP/2\.0 |[A-Z]{3,16} sips?:")


_Piece: TypeAlias = tuple[Flow, bool, float, bytes]


@dataclass(slots=True)
class _Recent:
    """The last pieces of one connection: the flow, the direction, the time and the octets."""

    pieces: deque[_Piece] = field(default_factory=deque)
    size: int = 0

    def drop_first(self) -> int:
        """Forget the oldest piece; returns its size."""
        dropped = len(self.pieces.popleft()[3])
        self.size -= dropped
        return dropped


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A failed call that waits to be shown; `pieces` are None where they are still to be found."""

    at: float
    cause: str
    call_id: str
    pieces: tuple[_Piece, ...] | None

    @property
    def size(self) -> int:
        """The octets that it counts for."""
        return LEAST_SIZE + sum(len(piece[3]) for piece in self.pieces or ())


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

    Calls beyond SHOWN_A_SECOND wait until `show_waiting`, each second, and `finish`; those for
    which there is no room, or no time at the end, are counted as `left_out`.
    `clock` gives seconds since the run began.
    """

    def __init__(self, tell: Callable[[FailedCall], None], clock: Callable[[], float]) -> None:
        self._tell = tell
        self._clock = clock
        self._flows: OrderedDict[tuple[Transport, Address], _Recent] = OrderedDict()
        self._size = 0
        self._queue: deque[_Waiting] = deque()
        self._queued = 0
        self.left_out = 0
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
        """Pass on a call that failed, with its messages, now or when it is its turn."""
        at = self._clock()
        if not self._queue and self._bucket.admit(now=at):
            self._show(_Waiting(at, cause, call_id, None))
            return
        waiting = _Waiting(at, cause, call_id, self._pieces_of(call_id, LOOKED_AT))
        if self._queued + waiting.size > MOST_WAITING:
            self.left_out += 1
            return
        self._queue.append(waiting)
        self._queued += waiting.size

    def show_waiting(self) -> None:
        """Pass on calls that wait, within the limit on the rate."""
        while self._queue and self._bucket.admit(now=self._clock()):
            self._show_next()

    def finish(self) -> None:
        """Pass on the calls that wait, as many as there is time for: the run is over."""
        end = self._clock() + SHOWN_WITHIN
        while self._queue and self._clock() <= end:
            self._show_next()
        self.left_out += len(self._queue)
        self._queue.clear()
        self._queued = 0

    def _show_next(self) -> None:
        waiting = self._queue.popleft()
        self._queued -= waiting.size
        self._show(waiting)

    def _show(self, call: _Waiting) -> None:
        pieces = call.pieces
        if pieces is None:
            pieces = self._pieces_of(call.call_id, len(self._flows))
        ladder = _CallLadder(call.call_id)
        _replay(pieces or (), ladder)
        shown = FailedCall(call.at, call.cause, call.call_id, ladder.text(), ladder.transcript())
        self._tell(shown)

    def _pieces_of(self, call_id: str, most: int) -> tuple[_Piece, ...] | None:
        """What the call sent and received, by the `most` connections used last; None if nothing.

        Over UDP it is those messages; pieces of a stream may end within a message, so that all are
        taken, of other calls, too, which the ladder leaves out.
        """
        wanted = call_id.encode()
        for recent in islice(reversed(self._flows.values()), most):
            if wanted and any(wanted in piece[3] for piece in recent.pieces):
                return tuple(
                    piece
                    for piece in recent.pieces
                    if piece[0].transport is not Transport.UDP or wanted in piece[3]
                )
        return None


def _replay(pieces: Iterable[_Piece], ladder: Ladder) -> None:
    """Add the pieces to a ladder, in each direction from the first that begins a message."""
    begun = set()
    for flow, outgoing, at, data in pieces:
        if outgoing not in begun and not _START.match(data):
            continue
        begun.add(outgoing)
        ladder.signaling(data, flow=flow, outgoing=outgoing, now=at)
