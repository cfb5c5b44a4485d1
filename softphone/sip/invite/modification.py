"""The common part of re-INVITE and UPDATE: session modifications, one at a time from each side.

RFC 3261 section 14 and RFC 3311 section 5 share the rules for glare (491), temporary refusal (500
with Retry-After) and a lost dialog (408, 481).  After a 422 (RFC 4028) or a challenge the request
is sent again.  `reinvite` and `update` add what differs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from softphone.errors import LocalProtocolError
from softphone.sans_io import Flow, Side
from softphone.sip.auth import AuthenticationRefused
from softphone.sip.events import (
    Cause,
    ModificationAnswered,
    ModificationFailed,
    ModificationReceived,
    SessionRefreshed,
)
from softphone.sip.invite.bye import send_bye
from softphone.sip.invite.invite_dialog import (
    HeaderFields,
    InviteDialog,
    OfferAnswerInput,
    OfferState,
)
from softphone.sip.message import Body, BodyRole, Field, Request, Response
from softphone.sip.transaction import (
    ClientTransaction,
    CredentialWait,
    ServerTransaction,
    authorized,
)

if TYPE_CHECKING:
    from softphone.sip.invite.usage import InviteUsage

MAXIMUM_ATTEMPTS = 8
"""How many times one modification is sent before its refusal is final."""


class LocalModification:
    """Our re-INVITE or UPDATE, sent again until its result is final.

    It is the `local_modification` of its usage until then or until its 2xx is acknowledged.
    """

    method: ClassVar[str]
    owes_acknowledgment = False
    """Whether a 2xx that brought an offer waits for `InviteUsage.acknowledge`."""

    def __init__(
        self,
        usage: InviteUsage,
        leg: InviteDialog,
        body: Body | None,
        *,
        headers: HeaderFields = (),
        refresh: bool = False,
    ) -> None:
        self.usage = usage
        self.leg = leg
        self.transaction: ClientTransaction | None = None
        self.request: Request | None = None
        """The request as last sent, with credentials and without Via."""
        self._layer = usage.layer
        self._body = body
        self._headers = headers
        self._refresh = refresh
        self._attempts = 0
        self._alerted = False
        self._credential_wait = CredentialWait(usage.layer)

    def send_modification(self, *, now: float) -> None:
        """Send it.  Raises LocalProtocolError while another modification or an offer is open."""
        if self.usage.local_modification is not None:
            raise LocalProtocolError("a modification of the session is under way")
        if self._body is not None and not self.leg.offer_answer.stable:
            raise LocalProtocolError("an offer is open: a new one has to wait for its answer")
        self.usage.local_modification = self
        self._send_attempt(now=now)

    @property
    def waiting(self) -> bool:
        """Whether it waits to be sent again: after a 491, a Retry-After, or for credentials."""
        return self.transaction is None and not self.owes_acknowledgment

    def replace_offer(self, body: Body | None) -> None:
        """Replace the offer of the next attempt, since the session changed in the meantime."""
        self._body = body

    def _send_attempt(self, *, now: float) -> None:
        leg, usage = self.leg, self.usage
        fields: list[Field] = [
            *usage.refresh_fields(leg.dialog.to),
            *usage.session_timer.request_fields(),
            *self._headers,
        ]
        request = leg.dialog.build_request(self.method, headers=fields, body=self._body)
        if usage.credentials is not None:
            request = usage.credentials.preauthorize(request, to=leg.dialog.to)
        self._send_request(request, now=now)

    def _send_request(self, request: Request, *, now: float) -> None:
        self._attempts += 1
        self.leg.note_sent(self._body)
        self.request = request
        self.transaction = self._layer.send_request(
            request, to=self.leg.dialog.to, user=self, now=now
        )

    # Responses -----------------------------------------------------------------------------------

    def response_received(
        self, transaction: ClientTransaction, response: Response, *, now: float
    ) -> None:
        """Handle a response: report the result, or send the request again."""
        if transaction is not self.transaction:
            return
        if response.provisional:
            self._alerted = self._alerted or response.status != 100
            return
        self.transaction = None
        if response.success:
            self._succeeded(response, flow=transaction.flow, now=now)
            return
        self.leg.offer_answer.apply_input(OfferAnswerInput.FAILED)
        if self._attempts >= MAXIMUM_ATTEMPTS or not self._try_again(
            transaction, response, now=now
        ):
            self._refused(response, now)

    def _succeeded(self, response: Response, *, flow: Flow | None, now: float) -> None:
        usage = self.usage
        self.leg.dialog.refresh_target(response)
        usage.session_timer.apply_response(response, now=now)
        if usage.credentials is not None and self.request is not None:
            usage.credentials.note_accepted(self.request, response, flow=flow)
        body = response.find_body(self._layer.config.session_types)
        role = self.leg.note_received(body)
        self.end_accepted(role, now=now)
        if self._refresh and role is None:
            usage.emit_event(SessionRefreshed(usage, True, response=response))
            return
        usage.emit_event(
            ModificationAnswered(usage, response, body if role is not None else None, role)
        )

    def end_accepted(self, role: BodyRole | None, *, now: float) -> None:
        """Finish after a 2xx whose session description has `role`; an open offer is void."""
        self.usage.local_modification = None
        self.leg.offer_answer.apply_input(OfferAnswerInput.FAILED)

    def _try_again(self, transaction: ClientTransaction, response: Response, *, now: float) -> bool:
        again = authorized(
            transaction.request,
            response,
            flow=transaction.flow,
            credentials=self.usage.credentials,
            take_sequence=self.leg.dialog.take_sequence,
            alerted=self._alerted,
        )
        if isinstance(again, AuthenticationRefused):
            return self._credential_wait.begin_wait(
                again, response, again=self._renewed, final=self._refused, now=now
            )
        if again is not None:
            self._send_request(again, now=now)
            return True
        if response.status == 422 and self.usage.session_timer.note_too_small(response):
            self._send_attempt(now=now)
            return True
        delay = self._delay(response)
        if delay is None:
            return False
        self._layer.timers.set((self, "again"), now + delay)
        return True

    def _renewed(self, response: Response, now: float) -> None:
        """Send a new request with new credentials, since the session may have changed."""
        self.handle_timer("again", now=now)

    def _delay(self, response: Response) -> float | None:
        """Seconds until the next attempt, None for none (RFC 3261 14.1, RFC 3311 5.3)."""
        if response.status == 491:
            ticks = self._layer.random()
            # The owner of the Call-ID waits 2.1 to 4 s, the other 0 to 2 s, in units of 10 ms.
            if self.usage.side is Side.CLIENT:
                return 2.1 + round(ticks * 190) / 100
            return round(ticks * 200) / 100
        retry_after = response.retry_after
        if response.status == 500 and retry_after is not None and retry_after.delta <= 10:
            return float(retry_after.delta)
        return None

    def _refused(self, response: Response, now: float) -> None:
        usage = self.usage
        usage.local_modification = None
        usage.emit_event(ModificationFailed(usage, response.status, response.reason, response))
        # 481 and 408 end the dialog (RFC 3261 section 12.2.1.2).
        if response.status == 481:
            usage.end_usage(Cause.FAILED, now=now, status=481, reason=response.reason)
        elif response.status == 408:
            send_bye(usage, self.leg, now=now)
            usage.end_usage(Cause.FAILED, now=now, status=408, reason=response.reason)

    def request_failed(
        self, transaction: ClientTransaction, status_hint: int, reason: str, *, now: float
    ) -> None:
        """Report the failure; a time-out (408) ends the call, a dead flow does not (RFC 5626)."""
        if transaction is not self.transaction:
            return
        usage = self.usage
        usage.local_modification = self.transaction = None
        self.leg.offer_answer.apply_input(OfferAnswerInput.FAILED)
        usage.emit_event(ModificationFailed(usage, status_hint, reason, None))
        if status_hint == 408:
            send_bye(usage, self.leg, now=now)
            usage.end_usage(Cause.TIMEOUT, now=now, status=408, reason=reason)

    def handle_timer(self, name: object, *, now: float) -> None:
        """Send the next attempt, or wait 0.5 s more while an offer is open."""
        if self._body is not None and not self.leg.offer_answer.stable:
            self._layer.timers.set((self, "again"), now + 0.5)
            return
        if self._refresh and self._body is not None:
            # The session may have changed while the refresh waited.
            self._body = self.leg.local_body
        self._send_attempt(now=now)

    def stop(self) -> None:
        """Stop without an event: the usage has ended."""
        self._layer.timers.cancel((self, "again"))
        self._credential_wait.stop_waiting()
        self.usage.local_modification = self.transaction = None


class RemoteModification:
    """The far end's re-INVITE or UPDATE, until the application answers it.

    It is the `remote_modification` of its usage until then.
    """

    def __init__(
        self, usage: InviteUsage, transaction: ServerTransaction, leg: InviteDialog
    ) -> None:
        self.usage = usage
        self.leg = leg
        self.transaction = transaction

    def receive(self, body: Body | None, *, glare: bool, now: float) -> None:
        """Report the request, or refuse it: 500 while another is pending, 491 on `glare`, or 422.

        `glare` says that a modification of ours is under way.
        """
        usage, transaction, leg = self.usage, self.transaction, self.leg
        remote_offer = leg.offer_answer.state is OfferState.REMOTE_OFFER
        if usage.remote_modification is not None or (remote_offer and body is not None):
            refuse_busy(usage, transaction, now=now)
        elif glare:
            transaction.respond(491, now=now)
        elif not usage.session_timer.refuse_too_small(transaction, now=now):
            leg.dialog.refresh_target(transaction.request)
            usage.follow_flow(leg.dialog, transaction.flow)
            transaction.user = usage.remote_modification = self
            self.report(body, now=now)

    def report(self, body: Body | None, *, now: float) -> None:
        """Report ModificationReceived and start the response time-out."""
        usage = self.usage
        role = self.leg.note_received(body)
        usage.layer.timers.set((self, "unanswered"), now + usage.layer.config.response_timeout)
        usage.emit_event(ModificationReceived(usage, self.transaction.request, body, role))

    def answer(self, body: Body | None, *, now: float, headers: HeaderFields = ()) -> None:
        """Answer 200 with `body`: our answer, or our offer if a re-INVITE had none."""
        self._close()
        usage = self.usage
        role = self.leg.note_sent(body)
        # Our 2xx refreshes the session and the target, too.
        fields = [
            *usage.refresh_fields(self.transaction.flow),
            *usage.session_timer.answer_fields(self.transaction.request, now=now),
            *headers,
        ]
        response = self.transaction.respond(200, now=now, headers=fields, body=body)
        self.end_accepted(response, role, now=now)

    def end_accepted(self, response: Response, role: BodyRole | None, *, now: float) -> None:
        """Do nothing after our 2xx; a re-INVITE overrides this to retransmit it.

        `role` is that of the session description in the 2xx.
        """

    def reject(
        self, status: int, *, now: float, reason: str = "", headers: HeaderFields = ()
    ) -> None:
        """Answer with a status of 300 to 699; the session stays as it was."""
        if not 300 <= status < 700:
            raise LocalProtocolError(f"{status} is no failure status")
        self._close()
        self.leg.offer_answer.apply_input(OfferAnswerInput.FAILED)
        self.transaction.respond(status, now=now, reason=reason, headers=headers)

    def _close(self) -> None:
        self.transaction.user = self.usage.remote_modification = None
        self.usage.layer.timers.cancel((self, "unanswered"))

    def cancel_received(self, request: Request, *, now: float) -> None:
        """Answer a canceled re-INVITE 487; the session stays (RFC 3261 section 9.2)."""
        self.reject(487, now=now)

    def transaction_failed(
        self, transaction: ServerTransaction, reason: str, *, now: float
    ) -> None:
        """Drop the request and its offer: the flow died before our answer."""
        self._close()
        self.leg.offer_answer.apply_input(OfferAnswerInput.FAILED)

    def handle_timer(self, name: object, *, now: float) -> None:
        """Answer 488: the application did not answer in time."""
        self.reject(488, now=now)


def refuse_busy(usage: InviteUsage, transaction: ServerTransaction, *, now: float) -> None:
    """Answer 500 with a Retry-After of 0 to 10 s (RFC 3261 section 14.2, RFC 3311 5.2)."""
    seconds = str(int(usage.layer.random() * 11))
    transaction.respond(500, now=now, headers=(("Retry-After", seconds),))
