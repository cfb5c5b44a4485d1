"""PRACK and the reliable provisional responses that it acknowledges, for both sides (RFC 3262).

The callee numbers its responses (RSeq) and retransmits each until its PRACK comes, before it sends
the next.  The caller acknowledges them in order.  The response or the PRACK may carry an offer;
PRACK answers that of the response, the 2xx to PRACK answers that of PRACK (section 5).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from softphone.errors import LocalProtocolError
from softphone.sans_io import Timers
from softphone.sip.events import PrackReceived
from softphone.sip.invite.invite_dialog import (
    HeaderFields,
    InviteDialog,
    OfferAnswerInput,
    OfferState,
)
from softphone.sip.message import Body, BodyRole, RAck, Response
from softphone.sip.transaction import ServerTransaction, TimerKey

if TYPE_CHECKING:
    from softphone.sip.invite.client import InviteClient
    from softphone.sip.invite.server import InviteServer
    from softphone.sip.invite.usage import InviteUsage

MAXIMUM_QUEUED = 16
"""The most reliable responses that may wait for the PRACK of an earlier one."""


# The caller --------------------------------------------------------------------------------------


def accept_rseq(leg: InviteDialog, rseq: int) -> bool:
    """Accept the next RSeq in order; False for copies and gaps, which are dropped."""
    if leg.last_rseq is not None and rseq != leg.last_rseq + 1:
        return False
    leg.last_rseq = rseq
    return True


def answer_offer(
    client: InviteClient, body: Body | None, *, to_tag: str | None, now: float
) -> None:
    """Send PRACK with our answer to the offer of a reliable provisional response.

    Raises LocalProtocolError if no offer waits in the dialog of `to_tag` (None: the current one).
    """
    leg = client.usage.leg if to_tag is None else client.dialogs.get(to_tag)
    if leg is None or leg.offer_answer.state is not OfferState.REMOTE_OFFER:
        raise LocalProtocolError("there is no reliable provisional response to answer")
    leg.note_sent(body)
    send_prack(client, leg, body, now=now)


def send_prack(client: InviteClient, leg: InviteDialog, body: Body | None, *, now: float) -> None:
    """Send PRACK for the latest reliable response in a dialog."""
    rack = RAck(leg.last_rseq or 0, client.request.cseq.number, "INVITE")
    leg.dialog.send_request(
        "PRACK",
        layer=client.usage.layer,
        user=client,
        credentials=client.usage.credentials,
        headers=(("RAck", str(rack)),),
        body=body,
        now=now,
    )


# The callee --------------------------------------------------------------------------------------


class ReliableSender:
    """Sends our reliable provisional responses to the INVITE of `server` (section 3)."""

    __slots__ = ("_queue", "_rseq", "_sequence", "_server", "_t1", "_timers", "interval", "waiting")

    def __init__(
        self,
        *,
        server: InviteServer,
        timers: Timers[TimerKey],
        t1: float,
        first: int,
        sequence: int,
    ) -> None:
        self._server = server
        self._timers = timers
        self._t1 = t1
        self._rseq = first
        self._sequence = sequence
        self._queue: deque[tuple[Callable[[int], Response], bool]] = deque()
        self.interval = t1
        self.waiting: Response | None = None
        """The response sent that waits for its PRACK."""

    @property
    def description_unacknowledged(self) -> bool:
        """Whether a response with a session description waits for its PRACK, sent or queued."""
        sent = self.waiting is not None and bool(self.waiting.body)
        return sent or any(described for _, described in self._queue)

    def queue_response(
        self, make: Callable[[int], Response], *, described: bool, now: float
    ) -> bool:
        """Send the response that `make(rseq)` builds, now or in turn; False if too many wait.

        `described` says that it has a session description.
        """
        if self.waiting is not None:
            if len(self._queue) >= MAXIMUM_QUEUED:
                return False
            self._queue.append((make, described))
            return True
        self._send_numbered(make, now=now)
        return True

    def _send_numbered(self, make: Callable[[int], Response], *, now: float) -> None:
        self.waiting = make(self._rseq)
        self.interval = self._t1
        self._timers.set((self, "resend"), now + self.interval)
        self._timers.set((self, "give up"), now + 64 * self._t1)
        self._server.send_reliable(self.waiting, now=now)

    def match_prack(self, rack: RAck) -> bool:
        """Whether RAck names the waiting response, which is then acknowledged (else: 481)."""
        if self.waiting is None or (rack.rseq, rack.cseq, rack.method) != (
            self._rseq,
            self._sequence,
            "INVITE",
        ):
            return False
        self.waiting = None
        self._rseq += 1
        self._timers.cancel((self, "resend"), (self, "give up"))
        return True

    def send_next(self, *, now: float) -> None:
        """Send the next queued response, once the one before is acknowledged."""
        if self.waiting is None and self._queue:
            self._send_numbered(self._queue.popleft()[0], now=now)

    def stop(self) -> None:
        """Stop retransmitting and drop the queue: the final response replaces them.

        The PRACK of the last one may still come and is answered (section 3).
        """
        self._queue.clear()
        self._timers.cancel((self, "resend"), (self, "give up"))

    def handle_timer(self, name: object, *, now: float) -> None:
        """Retransmit, doubling the interval without bound, or fail after 64*T1."""
        if self.waiting is None:
            return
        if name == "give up":
            self.stop()
            self._server.reliable_failed(now=now)
            return
        self.interval *= 2
        self._timers.set((self, "resend"), now + self.interval)
        self._server.send_reliable(self.waiting, now=now)


def prack_received(
    usage: InviteUsage, transaction: ServerTransaction, leg: InviteDialog, *, now: float
) -> None:
    """Handle a PRACK: 481 unless it names the waiting response (section 3)."""
    server, rack = usage.server, transaction.request.rack
    if server is None:
        transaction.respond(481, now=now)
        return
    if rack is None:
        transaction.respond(400, now=now, reason="Missing RAck header field")
        return
    if server.reliable is None or not server.reliable.match_prack(rack):
        transaction.respond(481, now=now)
        return
    body = transaction.request.find_body(usage.layer.config.session_types)
    role = server.leg.note_received(body)
    usage.emit_event(PrackReceived(usage, body if role is not None else None, role))
    if role is BodyRole.OFFER:
        server.pracking = transaction
        return
    transaction.respond(200, now=now)
    server.pracked(now=now)


def answer_prack(
    server: InviteServer, status: int, body: Body | None, *, now: float, headers: HeaderFields
) -> None:
    """Answer the PRACK that brought an offer; a `status` of 300 and more refuses the offer."""
    transaction, server.pracking = server.pracking, None
    if transaction is None:
        raise LocalProtocolError("no PRACK waits for an answer")
    if status < 300:
        server.leg.note_sent(body)
    else:
        server.leg.offer_answer.apply_input(OfferAnswerInput.FAILED)
    transaction.respond(status, now=now, headers=headers, body=body)
    server.pracked(now=now)
