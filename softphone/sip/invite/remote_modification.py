"""The far end's re-INVITE and UPDATE within a dialog (RFC 3261 section 14.2, RFC 3311 5.2)."""

from __future__ import annotations

from softphone.errors import LocalProtocolError
from softphone.sip.events import AckReceived, Cause, ModificationReceived, SessionRefreshed
from softphone.sip.invite.context import (
    HeaderFields,
    InviteContext,
    InvitePart,
    note_received_body,
    note_sent_body,
    session_body,
)
from softphone.sip.invite.invite_dialog import InviteDialog
from softphone.sip.invite.offer_answer_exchange import OfferAnswerInput, OfferState
from softphone.sip.invite.success_retransmission import SuccessRetransmission
from softphone.sip.message import Body, BodyRole, Request
from softphone.sip.transaction import ServerTransaction

__all__ = ["RemoteModification"]


class RemoteModification(InvitePart):
    """One modification by the far end at a time."""

    def __init__(self, *, context: InviteContext) -> None:
        super().__init__(context)
        self._layer = context.layer
        self._transaction: ServerTransaction | None = None
        self._leg: InviteDialog | None = None
        self._success: SuccessRetransmission | None = None
        self._offered = False

    @property
    def pending(self) -> bool:
        """Whether the application owes an answer."""
        return self._transaction is not None

    @property
    def acknowledged(self) -> bool:
        """Whether no 2xx of ours to a re-INVITE waits for its ACK."""
        return self._success is None

    def receive_request(
        self, transaction: ServerTransaction, leg: InviteDialog, *, glare: bool, now: float
    ) -> None:
        """Take a re-INVITE or UPDATE; `glare` says that a re-INVITE of ours is under way."""
        request = transaction.request
        body = session_body(request, self._layer)
        offer_state = leg.offer_answer.state
        inviting = request.method == "INVITE"
        if self.pending or (offer_state is OfferState.REMOTE_OFFER and body is not None):
            self._refuse_busy(transaction, now=now)
            return
        if (glare and inviting) or (offer_state is OfferState.LOCAL_OFFER and (inviting or body)):
            transaction.respond(491, now=now)
            return
        if self._context.session_timer.too_small(request):
            minimum = str(round(self._context.session_timer.min_se))
            transaction.respond(422, now=now, headers=(("Min-SE", minimum),))
            return
        leg.dialog.refresh_target(request)
        self._transaction, self._leg = transaction, leg
        transaction.user = self
        if body is None and not inviting:
            # An UPDATE without offer refreshes target and session only (RFC 4028 section 9).
            self.answer(None, now=now, headers=())
            self._context.emit_event(SessionRefreshed(self._context, False, request))
            return
        role = note_received_body(leg.offer_answer, body)
        self._layer.timers.set((self, "unanswered"), now + self._layer.config.response_timeout)
        self._context.emit_event(ModificationReceived(self._context, request, body, role))

    def _refuse_busy(self, transaction: ServerTransaction, *, now: float) -> None:
        # RFC 3261 section 14.2 and RFC 3311 section 5.2: 500 with Retry-After of 0 to 10 seconds.
        seconds = str(int(self._layer.random() * 11))
        transaction.respond(500, now=now, headers=(("Retry-After", seconds),))

    def answer(self, body: Body | None, *, now: float, headers: HeaderFields) -> None:
        """Answer 200: with the answer, or with our offer if a re-INVITE had none."""
        transaction, leg = self._pop_transaction()
        request = transaction.request
        self._offered = note_sent_body(leg, body) is BodyRole.OFFER
        # Session and target are refreshed by what we answer, too.
        fields = [
            *self._context.refresh_fields(transaction.flow),
            *self._context.session_timer.answer_fields(request, now=now),
            *headers,
        ]
        response = transaction.respond(200, now=now, headers=fields, body=body)
        if request.method == "INVITE":
            self._success = SuccessRetransmission(
                response,
                dialog=leg.dialog,
                to=transaction.to,
                layer=self._layer,
                user=self,
                now=now,
            )

    def reject(self, status: int, *, now: float, reason: str, headers: HeaderFields) -> None:
        """Refuse: the session stays as it was."""
        if not 300 <= status < 700:
            raise LocalProtocolError(f"{status} is no failure status")
        transaction, leg = self._pop_transaction()
        leg.offer_answer.apply_input(OfferAnswerInput.FAILED)
        transaction.respond(status, now=now, reason=reason, headers=headers)

    def _pop_transaction(self) -> tuple[ServerTransaction, InviteDialog]:
        transaction, leg = self._transaction, self._leg
        if transaction is None or leg is None:
            raise LocalProtocolError("no modification waits for an answer")
        self._transaction = None
        self._layer.timers.cancel((self, "unanswered"))
        return transaction, leg

    def ack_received(self, request: Request, *, now: float) -> bool:
        """The ACK of our 2xx to a re-INVITE; False when it is not that one."""
        if self._success is None or request.cseq.number != self._success.sequence:
            return False
        self._success.stop()
        self._success = None
        leg = self._leg
        body = session_body(request, self._layer)
        # An open offer that was not in the 2xx is that of a modification of ours, sent since.
        if self._offered and leg is not None and leg.offer_answer.state is OfferState.LOCAL_OFFER:
            role = note_received_body(leg.offer_answer, body)
            leg.offer_answer.apply_input(OfferAnswerInput.FAILED)
            self._context.emit_event(AckReceived(self._context, body, role))
        return True

    def cancel_received(self, request: Request, *, now: float) -> None:
        """CANCEL of a re-INVITE: 487, and the session stays (RFC 3261 section 9.2)."""
        if self.pending:
            self.reject(487, now=now, reason="", headers=())

    def transaction_failed(
        self, transaction: ServerTransaction, reason: str, *, now: float
    ) -> None:
        """The flow died before our answer: as if it had never been asked."""
        if transaction is self._transaction and self._leg is not None:
            self._leg.offer_answer.apply_input(OfferAnswerInput.FAILED)
            self._transaction = None

    def no_acknowledgment(self, *, now: float) -> None:
        """No ACK within 64*T1: BYE (RFC 3261 section 14.2)."""
        self._success = None
        if self._leg is not None:
            self._context.send_bye(self._leg, now=now)
        self._context.end_usage(Cause.TIMEOUT, now=now, status=408, reason="No ACK came")

    def handle_timer(self, name: object, *, now: float) -> None:
        """The application does not answer: the session stays as it is."""
        if self.pending:
            self.reject(488, now=now, reason="", headers=())

    def stop(self, *, now: float) -> None:
        """The usage is over: a request that waits is answered 487 (RFC 3261 section 15.1.2)."""
        if self._success is not None:
            self._success.stop()
            self._success = None
        if self.pending:
            self.reject(487, now=now, reason="", headers=())
