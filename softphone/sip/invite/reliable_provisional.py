"""Reliable provisional responses (RFC 3262), both ends.

`ReliableSender` numbers ours, sends them one after another and again until each is acknowledged;
`ReliableReceiver` keeps the far end's in order.  Offers and answers are not their business.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol
from weakref import ref

from softphone.sans_io import Timers
from softphone.sip.message import RAck, Response
from softphone.sip.transaction import TimerKey

__all__ = ["ReliableReceiver", "ReliableSender", "ReliableUser"]

MAXIMUM_QUEUED = 16
"""Reliable responses that may wait for the one before them."""


class ReliableReceiver:
    """The order of the reliable provisional responses of one early dialog (RFC 3262 section 4)."""

    __slots__ = ("last",)

    def __init__(self) -> None:
        self.last: int | None = None

    def accept_rseq(self, rseq: int) -> bool:
        """Whether this is the next one; copies and those out of order are dropped."""
        if self.last is not None and rseq != self.last + 1:
            return False
        self.last = rseq
        return True


class ReliableUser(Protocol):
    """What a sender asks of the INVITE usage that it belongs to."""

    def send_reliable(self, response: Response, *, now: float) -> None:
        """Put a numbered response on the wire."""

    def reliable_failed(self, *, now: float) -> None:
        """No PRACK came within 64*T1: answer the INVITE with a 5xx (RFC 3262 section 3)."""


class ReliableSender:
    """Our reliable provisional responses to one INVITE (RFC 3262 section 3).

    `user` is known and not kept: it keeps the sender.
    """

    __slots__ = ("_queue", "_rseq", "_sequence", "_t1", "_timers", "_user", "interval", "waiting")

    def __init__(
        self,
        *,
        user: ReliableUser,
        timers: Timers[TimerKey],
        t1: float,
        first: int,
        sequence: int,
    ) -> None:
        self._user = ref(user)
        self._timers = timers
        self._t1 = t1
        self._rseq = first
        self._sequence = sequence
        self._queue: deque[Callable[[int], Response]] = deque()
        self.interval = t1
        self.waiting: Response | None = None
        """The response that waits for its PRACK."""

    def queue_response(self, make: Callable[[int], Response], *, now: float) -> bool:
        """Send the response that `make(rseq)` gives, now or in turn; False when too many wait."""
        if self.waiting is not None:
            if len(self._queue) >= MAXIMUM_QUEUED:
                return False
            self._queue.append(make)
            return True
        self._send_numbered(make, now=now)
        return True

    def _send_numbered(self, make: Callable[[int], Response], *, now: float) -> None:
        self.waiting = make(self._rseq)
        self.interval = self._t1
        self._timers.set((self, "resend"), now + self.interval)
        self._timers.set((self, "give up"), now + 64 * self._t1)
        self._transmit_response(self.waiting, now=now)

    def _transmit_response(self, response: Response, *, now: float) -> None:
        user = self._user()
        if user is not None:
            user.send_reliable(response, now=now)

    def match_prack(self, rack: RAck, *, now: float) -> bool:
        """Whether a PRACK names the response that waits; if so it is done (else: 481)."""
        if self.waiting is None or (rack.rseq, rack.cseq, rack.method) != (
            self._rseq,
            self._sequence,
            "INVITE",
        ):
            return False
        self.waiting = None
        self._rseq += 1
        self._timers.cancel((self, "resend"))
        self._timers.cancel((self, "give up"))
        return True

    def send_next(self, *, now: float) -> None:
        """Send the next one that waits in turn, after a PRACK was answered."""
        if self.waiting is None and self._queue:
            self._send_numbered(self._queue.popleft(), now=now)

    def stop(self) -> None:
        """The INVITE has its final response: nothing is sent again."""
        self.waiting = None
        self._queue.clear()
        self._timers.cancel((self, "resend"))
        self._timers.cancel((self, "give up"))

    def handle_timer(self, name: object, *, now: float) -> None:
        """Send again, doubling without bound, or give up."""
        if self.waiting is None:
            return
        if name == "give up":
            self.stop()
            user = self._user()
            if user is not None:
                user.reliable_failed(now=now)
            return
        self.interval *= 2
        self._timers.set((self, "resend"), now + self.interval)
        self._transmit_response(self.waiting, now=now)
