"""The callee's side of an INVITE until the final response (RFC 3261 section 13.3, RFC 3262).

Sends provisional responses (reliable ones through `prack`) and the final response.  The
retransmission of the 2xx is in `ack`.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from softphone.errors import LocalProtocolError
from softphone.sip.dialog import Dialog
from softphone.sip.events import Cause, InviteEnded
from softphone.sip.invite.ack import SuccessRetransmission
from softphone.sip.invite.cancel import invite_canceled
from softphone.sip.invite.invite_dialog import (
    HeaderFields,
    InviteDialog,
    OfferAnswerExchange,
    OfferState,
)
from softphone.sip.invite.prack import ReliableSender
from softphone.sip.message import Body, Field, Request, Response, SessionId
from softphone.sip.transaction import ServerTransaction

if TYPE_CHECKING:
    from softphone.sip.invite.usage import InviteUsage

PROVISIONAL_INTERVAL = 60.0
"""An unreliable provisional response is sent again every minute (RFC 3261 section 13.3.1.1)."""


class InviteServer:
    """An initial INVITE that we received."""

    def __init__(self, transaction: ServerTransaction, *, usage: InviteUsage, now: float) -> None:
        self._transaction = transaction
        self.usage = usage
        self._layer = usage.layer
        self.request = transaction.request
        self.flow = transaction.flow
        """The flow that the INVITE came on."""
        self.body = self.request.find_body(self._layer.config.session_types)
        """The session description in the INVITE, which is an offer."""
        self._preview: Body | None = None
        self._accepting: tuple[Body | None, HeaderFields] | None = None
        self.reliable: ReliableSender | None = None
        """Our reliable provisional responses, from the first on."""
        self._first_rseq = int.from_bytes(self._layer.entropy(3), "big") + 1
        self.pracking: ServerTransaction | None = None
        """The PRACK whose offer the application has yet to answer."""
        transaction.user = self
        config = self._layer.config
        self._layer.timers.set((self, "trying"), now + config.trying_delay)
        self._layer.timers.set((self, "unanswered"), now + config.answer_timeout)

    @cached_property
    def leg(self) -> InviteDialog:
        """Our dialog, created by the first response that needs it (RFC 3261 section 12.1.1)."""
        transaction = self._transaction
        dialog = Dialog.from_request(self.request, to_tag=transaction.to_tag, to=transaction.to)
        leg = InviteDialog(dialog, OfferAnswerExchange())
        leg.note_received(self.body)
        return leg

    def identify_session(self, session_id: SessionId) -> None:
        """Send `session_id` in every further response."""
        self._transaction.session_id = session_id

    @property
    def answered(self) -> bool:
        """Whether a final response was sent, or can no longer be sent."""
        return self._transaction.answered

    @property
    def can_send_reliably(self) -> bool:
        """Whether the caller and we support 100rel."""
        return self.request.supports("100rel") and "100rel" in self._layer.config.supported

    # Commands ------------------------------------------------------------------------------------

    def send_provisional(
        self,
        status: int,
        *,
        now: float,
        reason: str,
        body: Body | None,
        reliable: bool | None,
        headers: HeaderFields,
    ) -> None:
        """Send a provisional response: see `InviteUsage.send_provisional`.

        Raises LocalProtocolError for another status, after the answer, or if the response must be
        reliable and the caller lacks 100rel.
        """
        self._require_unanswered()
        if not 100 <= status < 200:
            raise LocalProtocolError(f"{status} is no provisional status")
        if status == 100:
            self._transaction.respond(100, now=now)
            return
        able = self.can_send_reliably
        required = self.request.requires("100rel")
        if reliable is None:
            reliable = required or (able and body is not None)
        if reliable and not able:
            raise LocalProtocolError("the caller does not support 100rel")
        self.usage.enter_early_dialog(self.leg)
        fields = [*self.usage.refresh_fields(self._transaction.flow), *headers]
        if reliable or required:
            self._send_reliable_provisional(status, reason, body, fields, now=now)
            return
        # An unreliable answer is a preview: the 2xx must repeat it (RFC 3261 section 13.2.1).
        if body is not None and self.leg.offer_answer.state is OfferState.REMOTE_OFFER:
            self._preview = body
        self._transaction.respond(status, now=now, reason=reason, headers=fields, body=body)
        self._layer.timers.set((self, "provisional"), now + PROVISIONAL_INTERVAL)

    def _send_reliable_provisional(
        self, status: int, reason: str, body: Body | None, fields: list[Field], *, now: float
    ) -> None:
        if body is not None and self.leg.note_sent(body) is None:
            raise LocalProtocolError("there is nothing to answer, and an offer is open already")

        def make(rseq: int) -> Response:
            numbered = [*fields, ("Require", "100rel"), ("RSeq", str(rseq))]
            numbered += self._transaction.fields
            return self.request.response(
                status,
                reason or None,
                to_tag=self._transaction.to_tag,
                headers=numbered,
                body=body,
            )

        if self.reliable is None:
            self.reliable = ReliableSender(
                server=self,
                timers=self._layer.timers,
                t1=self._layer.timing.t1,
                first=self._first_rseq,
                sequence=self.request.cseq.number,
            )
        if not self.reliable.queue_response(make, described=body is not None, now=now):
            raise LocalProtocolError("too many reliable provisional responses wait for PRACK")

    def accept(self, body: Body | None, *, now: float, headers: HeaderFields) -> None:
        """Answer 200, but not before the PRACK of a reliable response with a body (RFC 3262 3)."""
        self._require_unanswered()
        if self._description_unacknowledged:
            self._accepting = (body, headers)
            return
        self._accept(body, headers, now=now)

    @property
    def _description_unacknowledged(self) -> bool:
        """Whether a session description in a reliable response waits for its PRACK."""
        return self.reliable is not None and self.reliable.description_unacknowledged

    def _accept(self, body: Body | None, headers: HeaderFields, *, now: float) -> None:
        self._stop_provisionals()
        offer_answer = self.leg.offer_answer
        if body is None and offer_answer.state is OfferState.REMOTE_OFFER:
            body = self._preview
        if offer_answer.stable and self.body is not None:
            # A reliable 1xx carried the answer: the 2xx has no session description (RFC 3262 5).
            body = None
        self.leg.note_sent(body)
        fields = [
            *self.usage.refresh_fields(self._transaction.flow),
            *self.usage.session_timer.answer_fields(self.request, now=now),
            *headers,
        ]
        self._transaction.respond(200, now=now, headers=fields, body=body)
        SuccessRetransmission(
            self._transaction, usage=self.usage, leg=self.leg, offered=True, now=now
        )
        self.usage.confirm_dialog(self.leg, now=now)

    def reject(self, status: int, *, now: float, reason: str, headers: HeaderFields) -> None:
        """Answer with a status of 300 to 699; the usage ends without an event."""
        if self.answered:
            raise LocalProtocolError("the INVITE has been answered already")
        if not 300 <= status < 700:
            raise LocalProtocolError(f"{status} is no failure status")
        # A 200 that waits for a PRACK was never sent.
        self._accepting = None
        self._stop_provisionals()
        self._transaction.respond(status, now=now, reason=reason, headers=headers)
        self.usage.end_without_event(now=now)

    def terminate(self, *, now: float) -> None:
        """Answer 487: CANCEL or BYE came before our final response (RFC 3261 9.2, 15.1.2)."""
        self._stop_provisionals()
        self._transaction.respond(487, now=now)

    def _require_unanswered(self) -> None:
        if self.answered or self._accepting is not None:
            raise LocalProtocolError("the INVITE has been answered already")

    def _stop_provisionals(self) -> None:
        if self.reliable is not None:
            self.reliable.stop()
        self._layer.timers.cancel((self, "trying"), (self, "unanswered"), (self, "provisional"))

    # Requests received ---------------------------------------------------------------------------

    def cancel_received(self, request: Request, *, now: float) -> None:
        """Handle the CANCEL of this INVITE."""
        invite_canceled(self, request, now=now)

    def pracked(self, *, now: float) -> None:
        """After the response to a PRACK, send the pending 2xx or the next reliable response."""
        if self._accepting is not None and not self._description_unacknowledged:
            body, headers = self._accepting
            self._accepting = None
            self._accept(body, headers, now=now)
            return
        if self.reliable is not None:
            self.reliable.send_next(now=now)

    def stop(self, *, now: float) -> None:
        """Stop all retransmission at the end of the usage; answer a pending PRACK 487."""
        self._stop_provisionals()
        self.reliable = None
        if self.pracking is not None:
            self.pracking.respond(487, now=now)
            self.pracking = None

    # Time and failure ----------------------------------------------------------------------------

    def send_reliable(self, response: Response, *, now: float) -> None:
        """Send a provisional response that has its RSeq, also as a retransmission."""
        self._transaction.send_response(response, now=now)

    def reliable_failed(self, *, now: float) -> None:
        """Fail the INVITE with 504: no PRACK came (RFC 3262 section 3 asks for a 5xx)."""
        self._abort(504, Cause.TIMEOUT, "No PRACK came", now=now)

    def transaction_failed(
        self, transaction: ServerTransaction, reason: str, *, now: float
    ) -> None:
        """End the usage if the flow died before our final response; ignore a missing ACK."""
        if transaction.last_status < 200:
            self._stop_provisionals()
            self.usage.end_without_event(now=now)
            self.usage.emit_event(InviteEnded(self.usage, Cause.TRANSPORT, 503, reason))

    def handle_timer(self, name: object, *, now: float) -> None:
        """Send 100 Trying, repeat the last provisional response, or give up with 480."""
        if self.answered:
            return
        if name == "unanswered":
            self._abort(480, Cause.TIMEOUT, "No answer", now=now)
        elif name == "provisional":
            self._transaction.receive_request(self.request, now=now)
            self._layer.timers.set((self, "provisional"), now + PROVISIONAL_INTERVAL)
        elif self._transaction.last_status == 0:
            self._transaction.respond(100, now=now)

    def _abort(self, status: int, cause: Cause, reason: str, *, now: float) -> None:
        self._stop_provisionals()
        self._transaction.respond(status, now=now)
        self.usage.end_without_event(now=now)
        self.usage.emit_event(InviteEnded(self.usage, cause, status, reason))
