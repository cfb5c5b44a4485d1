"""The callee's INVITE until its 2xx is acknowledged (RFC 3261 section 13.3, RFC 3262 section 3)."""

from __future__ import annotations

from softphone.errors import LocalProtocolError
from softphone.sans_io import Flow
from softphone.sip.dialog import Dialog
from softphone.sip.events import AckReceived, Cause, InviteCanceled, InviteEnded, PrackReceived
from softphone.sip.invite.context import (
    HeaderFields,
    InviteContext,
    note_received_body,
    note_sent_body,
    session_body,
)
from softphone.sip.invite.invite_dialog import InviteDialog
from softphone.sip.invite.offer_answer_exchange import OfferAnswerExchange, OfferState
from softphone.sip.invite.reliable_provisional import ReliableSender
from softphone.sip.invite.success_retransmission import SuccessRetransmission
from softphone.sip.message import Body, BodyRole, Field, Request, Response
from softphone.sip.transaction import ServerTransaction

__all__ = ["InviteServer"]

PROVISIONAL_INTERVAL = 60.0
"""An unreliable provisional response is sent again every minute (RFC 3261 section 13.3.1.1)."""


class InviteServer:
    """One INVITE that came in outside a dialog."""

    def __init__(
        self, transaction: ServerTransaction, *, context: InviteContext, now: float
    ) -> None:
        self._transaction = transaction
        self._context = context
        self._layer = context.layer
        self.request = transaction.request
        dialog = Dialog.from_request(
            transaction.request, to_tag=transaction.to_tag, to=transaction.to
        )
        self.leg = InviteDialog(dialog, OfferAnswerExchange())
        self.body = session_body(self.request, self._layer)
        self.role = note_received_body(self.leg.offer_answer, self.body)
        self._preview: Body | None = None
        self._accepting: tuple[Body | None, HeaderFields] | None = None
        self._success: SuccessRetransmission | None = None
        self._pracking: ServerTransaction | None = None
        self._reliable = ReliableSender(
            user=self,
            timers=self._layer.timers,
            t1=self._layer.timing.t1,
            first=int.from_bytes(self._layer.entropy(3), "big") + 1,
            sequence=self.request.cseq.number,
        )
        transaction.user = self
        config = self._layer.config
        self._layer.timers.set((self, "trying"), now + config.trying_delay)
        self._layer.timers.set((self, "unanswered"), now + config.answer_timeout)

    @property
    def flow(self) -> Flow:
        """The flow that the INVITE came on."""
        return self._transaction.flow

    @property
    def answered(self) -> bool:
        """Whether a final response has gone out, or can no longer go out."""
        return self._transaction.answered

    @property
    def acknowledged(self) -> bool:
        """Whether our 2xx no longer waits for its ACK."""
        return self._success is None

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
        """Send a provisional response."""
        self._require_unanswered()
        if not 100 <= status < 200:
            raise LocalProtocolError(f"{status} is no provisional status")
        if status == 100:
            self._transaction.respond(100, now=now)
            return
        able = self.request.supports("100rel") and "100rel" in self._layer.config.supported
        required = self.request.requires("100rel")
        if reliable is None:
            reliable = required or (able and body is not None)
        if reliable and not able:
            raise LocalProtocolError("the caller does not support 100rel")
        self._context.enter_early_dialog(self.leg)
        fields = [*self._context.refresh_fields(self._transaction.flow), *headers]
        if reliable or required:
            self._send_reliable_provisional(status, reason, body, fields, now=now)
            return
        # The answer may be shown before it counts (RFC 3261 section 13.2.1): it is kept.
        if body is not None and self.leg.offer_answer.state is OfferState.REMOTE_OFFER:
            self._preview = body
        self._transaction.respond(status, now=now, reason=reason, headers=fields, body=body)
        self._layer.timers.set((self, "provisional"), now + PROVISIONAL_INTERVAL)

    def _send_reliable_provisional(
        self, status: int, reason: str, body: Body | None, fields: list[Field], *, now: float
    ) -> None:
        if body is not None and note_sent_body(self.leg, body) is None:
            raise LocalProtocolError("there is nothing to answer, and an offer is open already")

        def make(rseq: int) -> Response:
            numbered = [*fields, ("Require", "100rel"), ("RSeq", str(rseq))]
            return self.request.response(
                status,
                reason or None,
                to_tag=self._transaction.to_tag,
                headers=numbered,
                body=body,
            )

        if not self._reliable.queue_response(make, now=now):
            raise LocalProtocolError("too many reliable provisional responses wait for PRACK")

    def accept(self, body: Body | None, *, now: float, headers: HeaderFields) -> None:
        """Answer 200, after the PRACK of a reliable response that carried a body (RFC 3262 3)."""
        self._require_unanswered()
        waiting = self._reliable.waiting
        if waiting is not None and waiting.body:
            self._accepting = (body, headers)
            return
        self._accept(body, headers, now=now)

    def _accept(self, body: Body | None, headers: HeaderFields, *, now: float) -> None:
        self._stop_provisionals()
        offer_answer = self.leg.offer_answer
        if body is None and offer_answer.state is OfferState.REMOTE_OFFER:
            body = self._preview
        if offer_answer.stable and self.role is BodyRole.OFFER:
            # Offer and answer are through (in a reliable 1xx): the 2xx carries none (RFC 3262 5).
            body = None
        note_sent_body(self.leg, body)
        fields = [
            *self._context.refresh_fields(self._transaction.flow),
            *self._context.session_timer.answer_fields(self.request, now=now),
            *headers,
        ]
        response = self._transaction.respond(200, now=now, headers=fields, body=body)
        self._success = SuccessRetransmission(
            response,
            dialog=self.leg.dialog,
            to=self._transaction.to,
            layer=self._layer,
            user=self,
            now=now,
        )
        self._context.confirm_dialog(self.leg, now=now)

    def reject(self, status: int, *, now: float, reason: str, headers: HeaderFields) -> None:
        """Answer with a failure or a redirection."""
        self._require_unanswered()
        if not 300 <= status < 700:
            raise LocalProtocolError(f"{status} is no failure status")
        self._stop_provisionals()
        self._transaction.respond(status, now=now, reason=reason, headers=headers)
        self._context.end_without_event(now=now)

    def terminate(self, *, now: float) -> None:
        """The caller sent BYE before our answer: the INVITE gets 487 (RFC 3261 15.1.2)."""
        self._stop_provisionals()
        self._transaction.respond(487, now=now)

    def _require_unanswered(self) -> None:
        if self.answered or self._accepting is not None:
            raise LocalProtocolError("the INVITE has been answered already")

    def _stop_provisionals(self) -> None:
        self._reliable.stop()
        for name in ("trying", "unanswered", "provisional"):
            self._layer.timers.cancel((self, name))

    # What comes in -------------------------------------------------------------------------------

    def cancel_received(self, request: Request, *, now: float) -> None:
        """CANCEL: 487 unless it crosses our final response (RFC 3261 section 9.2)."""
        if self.answered:
            return
        self._stop_provisionals()
        self._transaction.respond(487, now=now)
        self._context.end_without_event(now=now)
        reason = next(iter(request.reasons), None)
        status = reason.cause or 0 if reason is not None else 0
        text = reason.text if reason is not None else ""
        self._context.emit_event(InviteCanceled(self._context, status, text))

    def prack_received(self, transaction: ServerTransaction, *, now: float) -> None:
        """PRACK: 481 unless it names the response that waits (RFC 3262 section 3)."""
        request = transaction.request
        rack = request.rack
        if rack is None:
            transaction.respond(400, now=now, reason="Missing RAck header field")
            return
        if not self._reliable.match_prack(rack, now=now):
            transaction.respond(481, now=now)
            return
        body = session_body(request, self._layer)
        role = note_received_body(self.leg.offer_answer, body)
        self._context.emit_event(
            PrackReceived(self._context, body if role is not None else None, role)
        )
        if role is BodyRole.OFFER:
            self._pracking = transaction
            return
        transaction.respond(200, now=now)
        self._pracked(now=now)

    @property
    def pracking(self) -> bool:
        """Whether a PRACK waits for the answer to its offer."""
        return self._pracking is not None

    def answer_prack(
        self, status: int, body: Body | None, *, now: float, headers: HeaderFields
    ) -> None:
        """Answer the offer of a PRACK."""
        transaction, self._pracking = self._pracking, None
        if transaction is None:
            raise LocalProtocolError("no PRACK waits for an answer")
        if status < 300:
            note_sent_body(self.leg, body)
        else:
            self.leg.offer_answer = OfferAnswerExchange()
        transaction.respond(status, now=now, headers=headers, body=body)
        self._pracked(now=now)

    def _pracked(self, *, now: float) -> None:
        if self._accepting is not None:
            body, headers = self._accepting
            self._accepting = None
            self._accept(body, headers, now=now)
            return
        self._reliable.send_next(now=now)

    def ack_received(self, request: Request, *, now: float) -> bool:
        """The ACK of our 2xx; False when it is not that one, or a copy."""
        if self._success is None or request.cseq.number != self._success.sequence:
            return False
        self._success.stop()
        self._success = None
        self.request.headers.drop_index()
        body = session_body(request, self._layer)
        role = None
        if self.leg.offer_answer.state is OfferState.LOCAL_OFFER:
            role = note_received_body(self.leg.offer_answer, body)
            if role is None:
                # The offer of our 2xx went unanswered: it is void (RFC 3261 section 13.2.2.4).
                self.leg.offer_answer = OfferAnswerExchange()
        self._context.emit_event(
            AckReceived(self._context, body if role is not None else None, role)
        )
        return True

    def stop(self, *, now: float) -> None:
        """The usage is over: nothing is sent again, and a PRACK that waits is answered 487."""
        self._stop_provisionals()
        if self._pracking is not None:
            self._pracking.respond(487, now=now)
            self._pracking = None
        if self._success is not None:
            self._success.stop()
            self._success = None

    # Time and failure ----------------------------------------------------------------------------

    def send_reliable(self, response: Response, *, now: float) -> None:
        """Put a numbered response on the wire."""
        self._transaction.send_response(response, now=now)

    def reliable_failed(self, *, now: float) -> None:
        """No PRACK: 504 (RFC 3262 section 3 asks for a 5xx)."""
        self._abort(504, Cause.TIMEOUT, "No PRACK came", now=now)

    def no_acknowledgment(self, *, now: float) -> None:
        """No ACK within 64*T1: BYE (RFC 3261 section 13.3.1.4)."""
        self._success = None
        self._context.send_bye(self.leg, now=now)
        self._context.end_usage(Cause.TIMEOUT, now=now, status=408, reason="No ACK came")

    def transaction_failed(
        self, transaction: ServerTransaction, reason: str, *, now: float
    ) -> None:
        """The flow died before our answer; no ACK to a failure is no matter."""
        if transaction.last_status < 200:
            self._stop_provisionals()
            self._context.end_without_event(now=now)
            self._context.emit_event(InviteEnded(self._context, Cause.TRANSPORT, 503, reason))

    def handle_timer(self, name: object, *, now: float) -> None:
        """100 Trying is due, a provisional is to be repeated, or nobody answers."""
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
        self._context.end_without_event(now=now)
        self._context.emit_event(InviteEnded(self._context, cause, status, reason))
