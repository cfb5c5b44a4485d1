"""The caller's initial INVITE and its forks, until the final response (RFC 3261 section 13.2).

Also retries after a challenge (digest) or 422 and fails over to the next server.  CANCEL is in
`cancel`, PRACK in `prack`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from softphone.errors import LocalProtocolError
from softphone.sans_io import Flow, Target
from softphone.sip.auth import AuthenticationRefused
from softphone.sip.dialog import Dialog
from softphone.sip.events import InviteAnswered, InviteRejected, ProvisionalReceived
from softphone.sip.invite.ack import SuccessAck
from softphone.sip.invite.bye import send_bye
from softphone.sip.invite.cancel import cancel_invite, send_cancel
from softphone.sip.invite.invite_dialog import (
    HeaderFields,
    InviteDialog,
    InviteState,
    OfferAnswerExchange,
    OfferAnswerInput,
    OfferState,
)
from softphone.sip.invite.prack import accept_rseq, send_prack
from softphone.sip.message import Body, BodyRole, CSeq, Reason, Request, Response
from softphone.sip.transaction import (
    NO_FAILOVER,
    ClientTransaction,
    CredentialWait,
    Exchange,
    RequestFailover,
    authorized,
    for_another_flow,
)
from softphone.sip.transport import Failover

if TYPE_CHECKING:
    from softphone.sip.invite.usage import InviteUsage

MAXIMUM_LONGER = 4
"""How many times an INVITE is sent again with a greater Min-SE after 422."""


class InviteClient:
    """Our initial INVITE, with one early dialog for each fork."""

    def __init__(
        self,
        request: Request,
        *,
        to: Flow | Target,
        usage: InviteUsage,
        renew_body: Callable[[], Body | None] | None = None,
    ) -> None:
        """`renew_body` makes a new body for each target after the first."""
        self.usage = usage
        self._renew_body = renew_body
        self._layer = usage.layer
        self.to = to
        self._body = request.content
        self.transaction: ClientTransaction | None = None
        self.dialogs: dict[str, InviteDialog] = {}
        self._acknowledgments: dict[str, SuccessAck | None] = {}
        self.canceling: HeaderFields | None = None
        self.cancel_sent = False
        self.provisional = False
        self._alerted = False
        self.over = False
        self._unanswered = False
        self._unauthorized = ""
        self._longer = 0
        self._failover = NO_FAILOVER
        self.credential_wait = CredentialWait(usage.layer)
        self.request = request
        """The INVITE as last sent, without Via."""

    def send_invite(self, *, now: float, failover: Failover | None = None) -> None:
        """Send the INVITE, with credentials where they are known already.

        If a target does not serve it, the next of `failover` is tried (RFC 3263 section 4.3).
        """
        if failover is not None:
            self._failover = RequestFailover(failover)
        credentials = self.usage.credentials
        if credentials is not None:
            self.request = credentials.preauthorize(self.request, to=self.to)
        self._start_transaction(now=now)

    def _start_transaction(self, *, now: float) -> None:
        if self.provisional:
            self.provisional = False
            self._layer.timers.cancel((self, "timer C"))
        self.transaction = self._layer.send_request(self.request, to=self.to, user=self, now=now)

    # Commands ------------------------------------------------------------------------------------

    def acknowledge(self, leg: InviteDialog, body: Body | None, *, now: float) -> None:
        """ACK the 2xx that brought an offer, with our answer.

        Raises LocalProtocolError if no such 2xx waits for its ACK.
        """
        tag = leg.dialog.remote.tag or ""
        if self._acknowledgments.get(tag, self) is not None:
            raise LocalProtocolError("there is no 2xx that waits for an ACK with an answer")
        leg.note_sent(body)
        self._acknowledge(leg, tag, body, now=now)

    @property
    def flow(self) -> Flow | None:
        """The flow that the INVITE went out on; None until it is open."""
        return self.transaction.flow if self.transaction is not None else None

    @property
    def owes_acknowledgment(self) -> bool:
        """Whether the confirmed 2xx still waits for `acknowledge`."""
        return None in self._acknowledgments.values()

    # Responses -----------------------------------------------------------------------------------

    def response_received(
        self, transaction: ClientTransaction, response: Response, *, now: float
    ) -> None:
        """Handle a response to the INVITE, retransmitted 2xx and those of other forks included."""
        if response.success:
            self._succeeded(transaction, response, now=now)
        elif transaction is not self.transaction or self.over:
            return
        elif response.provisional:
            self._proceed(response, now=now)
        else:
            self._failed(transaction, response, now=now)

    def request_failed(
        self, transaction: ClientTransaction, status_hint: int, reason: str, *, now: float
    ) -> None:
        """Try the next target after a time-out or a dead flow; fail the INVITE without one."""
        if transaction is not self.transaction or self.over:
            return
        if not self._try_next_target(None, now=now):
            self.end_rejected(status_hint, reason, None, now=now)

    def handle_timer(self, name: object, *, now: float) -> None:
        """Cancel the INVITE when timer C fires (RFC 3261 section 16.8).

        The other timer fires 64*T1 after CANCEL: the INVITE then counts as canceled (section 9.1).
        """
        if self.over or self.transaction is None:
            return
        if name == "timer C":
            if self.canceling is None:
                self._unanswered = True
                reason = Reason("SIP", 408, "Request Timeout")
                cancel_invite(self, now=now, headers=(("Reason", str(reason)),))
        else:
            self.transaction.abandon()
            self.end_rejected(487, "Request Terminated", None, now=now)

    def _arm_timer_c(self, response: Response, *, now: float) -> None:
        """Start timer C at the first provisional response; each but 100 restarts it (16.7)."""
        patience = self._layer.config.timer_c
        if patience > 0 and (response.status != 100 or not self.provisional):
            self._layer.timers.set((self, "timer C"), now + patience)

    def _proceed(self, response: Response, *, now: float) -> None:
        self._arm_timer_c(response, now=now)
        self.provisional = True
        self._alerted = self._alerted or response.status != 100
        if self.canceling is not None:
            send_cancel(self, now=now)
            return
        if response.status == 100:
            if self.usage.state is InviteState.CALLING:
                self.usage.state = InviteState.PROCEEDING
            return
        tag = response.to.tag
        leg = self._early_dialog_of(tag, response) if tag else None
        if leg is None or tag is None:
            if self.usage.state is InviteState.CALLING:
                self.usage.state = InviteState.PROCEEDING
            if not tag:
                self.usage.emit_event(
                    ProvisionalReceived(self.usage, response, "", None, None, False)
                )
            return
        self._enter_early_dialog(leg, tag, response, now=now)

    def _early_dialog_of(self, tag: str, response: Response) -> InviteDialog | None:
        """Return the early dialog of a To tag, created if new; None when there are too many."""
        leg = self.dialogs.get(tag)
        if leg is None:
            if len(self.dialogs) >= self._layer.config.max_early_dialogs:
                return None
            leg = self._new_dialog(response, to=self.flow or self.to, sent_by=self.transaction)
            self.dialogs[tag] = leg
        else:
            leg.dialog.refresh_target(response)
        return leg

    def _new_dialog(
        self, response: Response, *, to: Flow | Target, sent_by: ClientTransaction | None
    ) -> InviteDialog:
        """Create the dialog of a response.

        Its hosts are the one that the response came from and those of the server's other targets.
        """
        hosts = self._failover.hosts
        if sent_by is not None and sent_by.source is not None:
            hosts = (sent_by.source, *hosts)
        dialog = Dialog.from_response(self.request, response, to=to, hosts=hosts)
        has_offer = self.request.find_body(self._layer.config.session_types) is not None
        state = OfferState.LOCAL_OFFER if has_offer else OfferState.STABLE
        leg = InviteDialog(dialog, OfferAnswerExchange(state))
        leg.local_body = self._body
        return leg

    def _enter_early_dialog(
        self, leg: InviteDialog, tag: str, response: Response, *, now: float
    ) -> None:
        rseq = response.rseq if response.requires("100rel") else None
        if rseq is not None and not accept_rseq(leg, rseq):
            return
        self.usage.enter_early_dialog(leg)
        body = response.find_body(self._layer.config.session_types)
        role: BodyRole | None = None
        if rseq is not None:
            role = leg.note_received(body)
            if role is not BodyRole.OFFER:
                send_prack(self, leg, None, now=now)
        elif body is not None and leg.offer_answer.state is OfferState.LOCAL_OFFER:
            # An unreliable answer serves early media only; the answer is that of the 2xx (13.2.1).
            role = BodyRole.ANSWER
        self.usage.emit_event(
            ProvisionalReceived(self.usage, response, tag, body, role, rseq is not None)
        )

    def exchange_answered(self, exchange: Exchange, response: Response, *, now: float) -> None:
        """Ignore the response to a PRACK: nothing depends on it (RFC 3262 section 4)."""

    def exchange_failed(
        self, exchange: Exchange, status_hint: int, reason: str, *, now: float
    ) -> None:
        """Ignore a PRACK that was not answered: the INVITE's final response decides."""

    # Final responses -----------------------------------------------------------------------------

    def _succeeded(self, transaction: ClientTransaction, response: Response, *, now: float) -> None:
        tag = response.to.tag or ""
        if tag in self._acknowledgments:
            acknowledgment = self._acknowledgments[tag]
            if acknowledgment is not None:
                acknowledgment.send_ack(now=now)
            return
        leg = self.dialogs.get(tag)
        if leg is None:
            leg = self._new_dialog(response, to=transaction.flow or self.to, sent_by=transaction)
        else:
            leg.dialog.confirm_by_response(response)
        if self.over or self.canceling is not None:
            self._refuse_success(leg, tag, now=now)
            return
        self.over = True
        if self.provisional:
            self._layer.timers.cancel((self, "timer C"))
        if self.usage.credentials is not None:
            self.usage.credentials.note_accepted(
                transaction.request, response, flow=transaction.flow
            )
        self._confirm(leg, tag, response, now=now)
        for request in (self.request, transaction.request):
            request.headers.drop_index()

    def _confirm(self, leg: InviteDialog, tag: str, response: Response, *, now: float) -> None:
        body = response.find_body(self._layer.config.session_types)
        # After a reliable offer/answer exchange a session description in the 2xx is ignored
        # (RFC 3261 section 13.2.1).
        settled = leg.offer_answer.stable and leg.local_body is not None
        role = None if settled else leg.note_received(body)
        self._acknowledgments[tag] = None
        self.dialogs = {tag: leg}
        self._failover, self._renew_body = NO_FAILOVER, None
        self.usage.session_timer.apply_response(response, now=now)
        self.usage.confirm_dialog(leg, now=now)
        if role is not BodyRole.OFFER:
            self._acknowledge(leg, tag, None, now=now)
            # Our offer without an answer in the 2xx is void: the application sees no body.
            leg.offer_answer.apply_input(OfferAnswerInput.FAILED)
        self.usage.emit_event(
            InviteAnswered(self.usage, response, body if role is not None else None, role)
        )

    def _refuse_success(self, leg: InviteDialog, tag: str, *, now: float) -> None:
        """ACK and BYE a 2xx of another fork, or one that crossed our CANCEL (13.2.2.4, 9.1)."""
        if len(self._acknowledgments) > 2 * self._layer.config.max_early_dialogs:
            return
        self._acknowledge(leg, tag, None, now=now)
        send_bye(self.usage, leg, now=now)
        if not self.over:
            self.end_rejected(487, "Request Terminated", None, now=now)

    def _acknowledge(self, leg: InviteDialog, tag: str, body: Body | None, *, now: float) -> None:
        request = self.transaction.request if self.transaction is not None else self.request
        acknowledgment = SuccessAck(request, body, dialog=leg.dialog, layer=self._layer)
        self._acknowledgments[tag] = acknowledgment
        acknowledgment.send_ack(now=now)

    def _failed(self, transaction: ClientTransaction, response: Response, *, now: float) -> None:
        if self.canceling is None and self._try_again(transaction, response, now=now):
            return
        if self._try_next_target(response, now=now):
            return
        self._give_up(response, now)

    def _give_up(self, response: Response, now: float) -> None:
        self.end_rejected(response.status, response.reason, response, now=now)

    def _send_again(self, response: Response, now: float) -> None:
        """Send the INVITE again with new credentials."""
        transaction = self.transaction
        if transaction is None or not self._try_again(transaction, response, now=now):
            self._give_up(response, now)

    def _try_again(self, transaction: ClientTransaction, response: Response, *, now: float) -> bool:
        """Answer a challenge (22.2) or a 422 (RFC 4028 section 7.4) with a new INVITE."""
        again = authorized(
            transaction.request,
            response,
            flow=transaction.flow,
            credentials=self.usage.credentials,
            take_sequence=self._next_sequence,
            alerted=self._alerted,
        )
        self._unauthorized = again.reason if isinstance(again, AuthenticationRefused) else ""
        if isinstance(again, AuthenticationRefused):
            return self.credential_wait.begin_wait(
                again, response, again=self._send_again, final=self._give_up, now=now
            )
        timer = self.usage.session_timer
        brief = again is None and response.status == 422 and self._longer < MAXIMUM_LONGER
        if brief and timer.note_too_small(response):
            self._longer += 1
            again = self.request.with_header("CSeq", str(CSeq(self._next_sequence(), "INVITE")))
            for name, value in timer.request_fields():
                again = again.with_header(name, value)
        if again is None:
            return False
        self._start_new_invite(again, now=now)
        return True

    def _try_next_target(self, response: Response | None, *, now: float) -> bool:
        """Send the INVITE to the next target (RFC 3263 section 4.3); False when there is none.

        Also False once a provisional response but 100 has come, or after a cancel.  The offer is
        a new one: keys shown to one target are not shown to the next.
        """
        if self._alerted or self.canceling is not None:
            return False
        place = self._layer.flows.target_of(self.flow or self.to)
        following = self._failover.next_target(place, now=now, response=response)
        if following is None:
            return False
        self.to = following
        again = for_another_flow(self.request)
        if "Contact" not in again.headers:
            self.usage.contact = None
        if self._renew_body is not None:
            again = again.with_body(self._renew_body())
            self._body = again.content
        self._start_new_invite(again, now=now)
        return True

    def _start_new_invite(self, request: Request, *, now: float) -> None:
        self.request = request
        self.dialogs.clear()
        self.usage.leg = None
        self._start_transaction(now=now)

    def _next_sequence(self) -> int:
        return self.request.cseq.number + 1

    def end_rejected(
        self, status: int, reason: str, response: Response | None, *, now: float
    ) -> None:
        """End the usage and report InviteRejected: the INVITE has failed or was canceled."""
        self.over = True
        self._renew_body = None
        self.credential_wait.stop_waiting()
        for timer in ("cancel", "timer C"):
            self._layer.timers.cancel((self, timer))
        canceled = self.canceling is not None
        if self._unanswered:
            status, reason, response, canceled = 408, "Request Timeout", None, False
        contacts = response.contacts if response is not None and status // 100 == 3 else ()
        self.usage.end_without_event(now=now)
        self.usage.emit_event(
            InviteRejected(
                self.usage, status, reason, response, contacts, canceled, self._unauthorized
            )
        )
