"""Our re-INVITE and UPDATE within a dialog (RFC 3261 section 14.1, RFC 3311 section 5.1).

Glare (491), 422, challenges and Retry-After are answered here by sending again; what the far end
modifies is in `remote_modification`.
"""

from __future__ import annotations

from softphone.errors import LocalProtocolError
from softphone.sans_io import Flow, Side
from softphone.sip.auth import AuthenticationRefused
from softphone.sip.events import Cause, ModificationAnswered, ModificationFailed, SessionRefreshed
from softphone.sip.invite.context import (
    HeaderFields,
    InviteContext,
    InvitePart,
    note_received_body,
    note_sent_body,
    session_body,
)
from softphone.sip.invite.invite_dialog import InviteDialog
from softphone.sip.invite.offer_answer_exchange import OfferAnswerInput
from softphone.sip.message import Body, BodyRole, Field, Request, Response
from softphone.sip.transaction import ClientTransaction, CredentialWait, SuccessAck, authorized

__all__ = ["LocalModification"]

MAXIMUM_ATTEMPTS = 8
"""How often one modification is sent before its refusal is final."""


class LocalModification(InvitePart):
    """One modification at a time; it sends itself again until there is a final word."""

    def __init__(self, *, context: InviteContext, side: Side) -> None:
        super().__init__(context)
        self._layer = context.layer
        self._side = side
        self._leg: InviteDialog | None = None
        self._method = ""
        self._body: Body | None = None
        self._headers: HeaderFields = ()
        self._refresh = False
        self._attempts = 0
        self._alerted = False
        self._request: Request | None = None
        self._transaction: ClientTransaction | None = None
        self._waits_for_ack: int | None = None
        self._acknowledgments: dict[int, SuccessAck] = {}
        self._credential_wait = CredentialWait(self._layer)

    @property
    def pending(self) -> bool:
        """Whether a modification of ours has no final word yet, or waits to be sent again."""
        return self._leg is not None

    @property
    def waiting(self) -> bool:
        """Whether it waits to be sent again: after a 491, a Retry-After, or for credentials."""
        return self._leg is not None and self._transaction is None

    def replace_offer(self, body: Body | None) -> None:
        """Send another offer when its time comes: the session has changed while it waited.

        Raises LocalProtocolError when nothing waits.
        """
        if not self.waiting:
            raise LocalProtocolError("no modification waits to be sent again")
        self._body = body

    @property
    def inviting(self) -> bool:
        """Whether a re-INVITE of ours is under way."""
        return self._transaction is not None and self._method == "INVITE"

    @property
    def owes_acknowledgment(self) -> bool:
        """Whether a 2xx to our re-INVITE waits for `acknowledge`."""
        return self._waits_for_ack is not None

    def send_modification(
        self,
        method: str,
        body: Body | None,
        *,
        leg: InviteDialog,
        now: float,
        headers: HeaderFields = (),
        refresh: bool = False,
    ) -> None:
        """Send INVITE or UPDATE.  Raises LocalProtocolError while another one is open."""
        if self.pending or self.owes_acknowledgment:
            raise LocalProtocolError("a modification of the session is under way")
        if body is not None and not leg.offer_answer.stable:
            raise LocalProtocolError("an offer is open: a new one has to wait for its answer")
        self._leg, self._method, self._body = leg, method, body
        self._headers, self._refresh, self._attempts = headers, refresh, 0
        self._alerted = False
        self._credential_wait = CredentialWait(self._layer)
        self._send_attempt(now=now)

    def _send_attempt(self, *, now: float) -> None:
        leg = self._leg
        if leg is None:
            return
        self._attempts += 1
        fields: list[Field] = [
            *self._context.refresh_fields(leg.dialog.to),
            *self._context.session_timer.request_fields(),
            *self._headers,
        ]
        request = leg.dialog.build_request(self._method, headers=fields, body=self._body)
        if self._context.credentials is not None:
            request = self._context.credentials.preauthorize(request, to=leg.dialog.to)
        note_sent_body(leg, self._body)
        self._send_request(request, now=now)

    def _send_request(self, request: Request, *, now: float) -> None:
        if self._leg is not None:
            self._request = request
            self._transaction = self._layer.send_request(
                request, to=self._leg.dialog.to, user=self, now=now
            )

    def acknowledge(self, body: Body | None, *, now: float) -> None:
        """ACK the 2xx that brought an offer, with our answer."""
        sequence, leg = self._waits_for_ack, self._context.leg
        if sequence is None or leg is None:
            raise LocalProtocolError("no 2xx waits for an ACK with an answer")
        self._waits_for_ack = None
        if body is None:
            # The offer of the 2xx is left unanswered: it is void.
            leg.offer_answer.apply_input(OfferAnswerInput.FAILED)
        note_sent_body(leg, body)
        self._acknowledge(leg, sequence, body, now=now)

    def _acknowledge(
        self, leg: InviteDialog, sequence: int, body: Body | None, *, now: float
    ) -> None:
        request = self._request
        fields: list[Field] = [
            (name, value)
            for name in ("Authorization", "Proxy-Authorization")
            for value in (request.headers.get_all(name) if request is not None else ())
        ]
        ack = leg.dialog.build_request("ACK", headers=fields, body=body, sequence=sequence)
        acknowledgment = SuccessAck(ack, to=leg.dialog.to, layer=self._layer)
        # Only the last one: copies of an older 2xx have died out by then.
        self._acknowledgments = {sequence: acknowledgment}
        acknowledgment.send_ack(now=now)

    # Responses -----------------------------------------------------------------------------------

    def response_received(
        self, transaction: ClientTransaction, response: Response, *, now: float
    ) -> None:
        """A response to the modification, or a copy of its 2xx."""
        if transaction is not self._transaction or self._leg is None:
            acknowledgment = self._acknowledgments.get(response.cseq.number)
            if response.success and acknowledgment is not None:
                acknowledgment.send_ack(now=now)
            return
        if response.provisional:
            self._alerted = self._alerted or response.status != 100
            return
        leg, self._transaction = self._leg, None
        if response.success:
            self._succeeded(leg, response, flow=transaction.flow, now=now)
        else:
            leg.offer_answer.apply_input(OfferAnswerInput.FAILED)
            self._failed(leg, transaction, response, now=now)

    def _succeeded(
        self, leg: InviteDialog, response: Response, *, flow: Flow | None, now: float
    ) -> None:
        self._leg = None
        leg.dialog.refresh_target(response)
        self._context.session_timer.apply_response(response, now=now)
        if self._context.credentials is not None and self._request is not None:
            self._context.credentials.note_accepted(self._request, response, flow=flow)
        body = session_body(response, self._layer)
        role = note_received_body(leg.offer_answer, body)
        if self._method == "INVITE":
            if role is BodyRole.OFFER:
                self._waits_for_ack = response.cseq.number
            else:
                self._acknowledge(leg, response.cseq.number, None, now=now)
        leg_open = role is BodyRole.OFFER and self._method == "INVITE"
        if not leg_open:
            leg.offer_answer.apply_input(OfferAnswerInput.FAILED)
        if self._refresh and role is None:
            self._context.emit_event(SessionRefreshed(self._context, True, response=response))
            return
        self._context.emit_event(
            ModificationAnswered(self._context, response, body if role is not None else None, role)
        )

    def _failed(
        self, leg: InviteDialog, transaction: ClientTransaction, response: Response, *, now: float
    ) -> None:
        if self._attempts < MAXIMUM_ATTEMPTS and self._try_again(
            leg, transaction, response, now=now
        ):
            return
        self._refused(response, now)

    def _renewed(self, response: Response, now: float) -> None:
        """There are new credentials: it is written anew, since the session may have changed."""
        self.handle_timer("again", now=now)

    def _refused(self, response: Response, now: float) -> None:
        leg, self._leg = self._leg, None
        if leg is None:
            return
        self._context.emit_event(
            ModificationFailed(self._context, response.status, response.reason, response)
        )
        # RFC 3261 section 12.2.1.2: the dialog is gone.
        if response.status == 481:
            self._context.end_usage(Cause.FAILED, now=now, status=481, reason=response.reason)
        elif response.status == 408:
            self._context.send_bye(leg, now=now)
            self._context.end_usage(Cause.FAILED, now=now, status=408, reason=response.reason)

    def _try_again(
        self, leg: InviteDialog, transaction: ClientTransaction, response: Response, *, now: float
    ) -> bool:
        again = authorized(
            transaction.request,
            response,
            flow=transaction.flow,
            credentials=self._context.credentials,
            take_sequence=leg.dialog.take_sequence,
            alerted=self._alerted,
        )
        if isinstance(again, AuthenticationRefused):
            return self._credential_wait.begin_wait(
                again, response, again=self._renewed, final=self._refused, now=now
            )
        if again is not None:
            note_sent_body(leg, self._body)
            self._attempts += 1
            self._send_request(again, now=now)
            return True
        if response.status == 422 and self._context.session_timer.note_too_small(response):
            self._send_attempt(now=now)
            return True
        delay = self._delay(response)
        if delay is None:
            return False
        self._layer.timers.set((self, "again"), now + delay)
        return True

    def _delay(self, response: Response) -> float | None:
        """How long to wait before sending again: RFC 3261 section 14.1, RFC 3311 section 5.3."""
        if response.status == 491:
            ticks = self._layer.random()
            # The owner of the Call-ID waits 2.1 to 4 s, the other 0 to 2 s, in units of 10 ms.
            if self._side is Side.CLIENT:
                return 2.1 + round(ticks * 190) / 100
            return round(ticks * 200) / 100
        retry_after = response.retry_after
        if response.status == 500 and retry_after is not None and retry_after.delta <= 10:
            return float(retry_after.delta)
        return None

    def request_failed(
        self, transaction: ClientTransaction, status_hint: int, reason: str, *, now: float
    ) -> None:
        """No answer at all ends the dialog; a dead flow does not (RFC 5626)."""
        leg = self._leg
        if transaction is not self._transaction or leg is None:
            return
        self._leg = self._transaction = None
        leg.offer_answer.apply_input(OfferAnswerInput.FAILED)
        self._context.emit_event(ModificationFailed(self._context, status_hint, reason, None))
        if status_hint == 408:
            self._context.send_bye(leg, now=now)
            self._context.end_usage(Cause.TIMEOUT, now=now, status=408, reason=reason)

    def handle_timer(self, name: object, *, now: float) -> None:
        """Send again, unless the far end's own modification is open: then a little later."""
        leg = self._leg
        if leg is None:
            return
        if self._body is not None and not leg.offer_answer.stable:
            self._layer.timers.set((self, "again"), now + 0.5)
            return
        if self._refresh and self._body is not None:
            # A refresh repeats the session as it is, not as it was before the wait.
            self._body = leg.local_body
        self._send_attempt(now=now)

    def stop(self) -> None:
        """The usage is over."""
        self._layer.timers.cancel((self, "again"))
        self._credential_wait.stop_waiting()
        self._leg = self._transaction = None
