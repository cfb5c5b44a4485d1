"""The INVITE usage of a dialog: the signaling of one call (RFC 3261 sections 13 to 15).

Carries session descriptions without parsing them and reports whether each is an offer or an
answer.  Does not handle media, policy or SDP.  `client` or `server` handles the initial INVITE
until the call is confirmed; `session_timer` works as long as the usage lives.  The code of each
method, sent or received, is in the module with its name.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from softphone.errors import LocalProtocolError
from softphone.sans_io import Flow, Side, Target
from softphone.sip.auth import Authenticator
from softphone.sip.dialog import Dialog, DialogTable
from softphone.sip.events import (
    Cause,
    InDialogRequestReceived,
    InviteEnded,
    RequestFailed,
    ResponseReceived,
)
from softphone.sip.invite.ack import SuccessRetransmission, ack_received
from softphone.sip.invite.bye import ByeSender, bye_received, hang_up, send_bye
from softphone.sip.invite.cancel import cancel_invite
from softphone.sip.invite.client import InviteClient
from softphone.sip.invite.invite_dialog import HeaderFields, InviteDialog, InviteState
from softphone.sip.invite.modification import LocalModification, RemoteModification
from softphone.sip.invite.prack import answer_offer, answer_prack, prack_received
from softphone.sip.invite.reinvite import LocalReinvite, reinvite_received
from softphone.sip.invite.server import InviteServer
from softphone.sip.invite.session_timer import SessionTimer
from softphone.sip.invite.subscriptions import (
    notify_received,
    refer_received,
    send_refer,
    subscribe_received,
)
from softphone.sip.invite.update import LocalUpdate, update_received
from softphone.sip.message import (
    Body,
    Field,
    NameAddr,
    Replaces,
    Request,
    Response,
    SessionId,
    Uri,
)
from softphone.sip.subscription import DialogUsage, SubscriberUsage
from softphone.sip.transaction import (
    Exchange,
    ServerExchange,
    ServerTransaction,
    TransactionLayer,
)

__all__ = ["InviteState", "InviteUsage"]


class InviteUsage:
    """One call.  Commands raise LocalProtocolError where the state does not allow them.

    Equality is identity.  `headers` of a command are additional header fields of the message that
    it sends.  `leg` is the confirmed dialog or the most recently updated early one.
    """

    def __init__(
        self,
        *,
        side: Side,
        layer: TransactionLayer,
        table: DialogTable,
        session_timer: float | None,
        contact: NameAddr | None = None,
        credentials: Authenticator | None = None,
    ) -> None:
        self.side = side
        """CLIENT: we sent the INVITE; SERVER: we received it."""
        self.layer = layer
        self.table = table
        self.contact = contact
        self.credentials = credentials
        self.state = InviteState.CALLING if side is Side.CLIENT else InviteState.PROCEEDING
        self.leg: InviteDialog | None = None
        self.client: InviteClient | None = None
        self.server: InviteServer | None = None
        self.local_modification: LocalModification | None = None
        """Our re-INVITE or UPDATE that has no final result, or whose 2xx waits for its ACK."""
        self.remote_modification: RemoteModification | None = None
        """The far end's re-INVITE or UPDATE that the application has yet to answer."""
        self.successes: dict[int, SuccessRetransmission] = {}
        """Our 2xx responses to INVITEs that wait for their ACK, by CSeq number."""
        self._session_interval = session_timer
        self.replaced: InviteUsage | None = None
        """The usage that ends when this one is accepted (RFC 3891)."""
        self.dialog_usages: list[DialogUsage] = []
        self.held_bye: HeaderFields | None = None
        """The header fields of a BYE that waits for the ACK of our 2xx."""
        self.bye_sender: ByeSender | None = None
        """The BYE that `bye` has sent; None before, and while it waits for that ACK."""
        self.session_id: SessionId | None = None
        """The Session-ID of our messages (RFC 7989): see `identify_session`; None sends none."""
        self._dialogs: list[InviteDialog] = []
        self._silent = False
        self._invite: Request | None = None
        self._invite_flow: Flow | None = None

    @cached_property
    def session_timer(self) -> SessionTimer:
        """The session timer, made when a message first asks for it."""
        return SessionTimer(self, wanted=self._session_interval)

    # Properties ----------------------------------------------------------------------------------

    @property
    def request(self) -> Request:
        """The initial INVITE, as last sent or as received.

        Raises LocalProtocolError before there is one.
        """
        part = self.client or self.server
        request = part.request if part is not None else self._invite
        if request is None:
            raise LocalProtocolError("the usage has no INVITE yet")
        return request

    @property
    def call_id(self) -> str:
        """The Call-ID of the initial INVITE and of every dialog of this usage."""
        return self.request.call_id

    @property
    def dialog(self) -> Dialog | None:
        """The confirmed dialog or the most recently updated early one; None before any."""
        return self.leg.dialog if self.leg is not None else None

    @property
    def local(self) -> NameAddr:
        """Our address in the dialog, with our tag once a dialog exists."""
        if self.leg is not None:
            return self.leg.dialog.local
        return self.request.from_ if self.side is Side.CLIENT else self.request.to

    @property
    def remote(self) -> NameAddr:
        """The far end's address in the dialog."""
        if self.leg is not None:
            return self.leg.dialog.remote
        return self.request.to if self.side is Side.CLIENT else self.request.from_

    @property
    def remote_target(self) -> Uri:
        """The URI of the far end's Contact; before a dialog, the URI called or the caller's."""
        if self.leg is not None:
            return self.leg.dialog.remote_target
        return self.request.uri if self.side is Side.CLIENT else self.request.from_.uri

    @property
    def flow(self) -> Flow | None:
        """The open flow of the dialog, or of the INVITE before there is one; None without."""
        if self.leg is not None:
            return self.layer.flows.resolve(self.leg.dialog.to)
        part = self.client or self.server
        return part.flow if part is not None else self._invite_flow

    @property
    def answered(self) -> bool:
        """Whether the INVITE has had its final response."""
        if self.server is not None:
            return self.server.answered
        return self.state in (InviteState.CONFIRMED, InviteState.TERMINATED)

    def identify_session(self, session_id: SessionId) -> None:
        """Send `session_id` in every further message of the call."""
        self.session_id = session_id
        for leg in self._dialogs:
            leg.dialog.session_id = session_id
        if self.server is not None:
            self.server.identify_session(session_id)

    def replaces_value(self, *, early_only: bool = False) -> str:
        """The Replaces value that names this dialog, with the tags as the far end sees them.

        RFC 3891.  Raises LocalProtocolError before there is a dialog.
        """
        if self.leg is None:
            raise LocalProtocolError("there is no dialog to replace yet")
        call_id, local_tag, remote_tag = self.leg.dialog.id
        return str(Replaces(call_id, remote_tag, local_tag, early_only))

    # The caller's side ---------------------------------------------------------------------------

    def cancel(self, *, now: float, headers: HeaderFields = ()) -> None:
        """Cancel an unanswered call; the CANCEL waits until a provisional response has come.

        InviteRejected(canceled=True) follows in every case.  A 2xx that crosses the CANCEL gets
        ACK and BYE.
        """
        cancel_invite(self._require_client(), now=now, headers=headers)

    def acknowledge(self, body: Body | None, *, now: float) -> None:
        """Send ACK with the answer to the offer in a 2xx to our INVITE or re-INVITE."""
        ours = self.local_modification
        if self.leg is not None and self.client is not None and self.client.owes_acknowledgment:
            self.client.acknowledge(self.leg, body, now=now)
        elif isinstance(ours, LocalReinvite) and ours.owes_acknowledgment:
            ours.acknowledge(body, now=now)
        else:
            raise LocalProtocolError("no 2xx waits for an ACK with an answer")

    def prack(self, body: Body | None, *, now: float, to_tag: str | None = None) -> None:
        """Send PRACK with the answer to the offer in a reliable provisional response.

        RFC 3262 section 5.  `to_tag` selects the early dialog; None: that of `leg`.
        """
        answer_offer(self._require_client(), body, now=now, to_tag=to_tag)

    def _require_client(self) -> InviteClient:
        if self.client is None:
            raise LocalProtocolError("only the caller cancels an INVITE and sends PRACK")
        return self.client

    # The callee's side ---------------------------------------------------------------------------

    def send_provisional(
        self,
        status: int = 180,
        *,
        now: float,
        reason: str = "",
        body: Body | None = None,
        reliable: bool | None = None,
        headers: HeaderFields = (),
    ) -> None:
        """Send a provisional response.

        `reliable` None: reliable if the caller requires 100rel, or supports it and there is a body.
        Each reliable response waits for the PRACK of the one before.
        """
        self._require_server().send_provisional(
            status, now=now, reason=reason, body=body, reliable=reliable, headers=headers
        )

    @property
    def can_send_reliably(self) -> bool:
        """Whether the caller and we support reliable provisional responses (RFC 3262)."""
        return self._require_server().can_send_reliably

    def accept(self, body: Body | None, *, now: float, headers: HeaderFields = ()) -> None:
        """Answer 200 with `body`: our answer, or our offer if the INVITE had none."""
        self._require_server().accept(body, now=now, headers=headers)

    def reject(
        self, status: int, *, now: float, reason: str = "", headers: HeaderFields = ()
    ) -> None:
        """Answer with a status of 300 to 699; the usage ends without an event."""
        self._require_server().reject(status, now=now, reason=reason, headers=headers)

    def redirect(
        self,
        contacts: Sequence[NameAddr],
        *,
        now: float,
        status: int = 302,
        headers: HeaderFields = (),
    ) -> None:
        """Answer 3xx with `contacts` to try instead."""
        fields = [*(("Contact", str(contact)) for contact in contacts), *headers]
        self._require_server().reject(status, now=now, reason="", headers=fields)

    def _require_server(self) -> InviteServer:
        if self.server is None:
            raise LocalProtocolError("only the callee answers an INVITE")
        return self.server

    # Both sides ----------------------------------------------------------------------------------

    def reinvite(self, body: Body | None, *, now: float, headers: HeaderFields = ()) -> None:
        """Send a re-INVITE with an offer, or without body to ask for one.

        It is sent again after glare (491, RFC 3261 section 14.1).
        """
        if not self.layer.config.reinvite:
            raise LocalProtocolError("the far end takes no re-INVITE")
        if self.remote_modification is not None or self.owes_acknowledgment:
            raise LocalProtocolError("an INVITE within the dialog is under way")
        leg = self.require_confirmed_dialog()
        LocalReinvite(self, leg, body, headers=headers).send_modification(now=now)

    def update(self, body: Body | None, *, now: float, headers: HeaderFields = ()) -> None:
        """Send UPDATE (RFC 3311), in an early or confirmed dialog."""
        if self.leg is None or self.state is InviteState.TERMINATED:
            raise LocalProtocolError("there is no dialog to update")
        LocalUpdate(self, self.leg, body, headers=headers).send_modification(now=now)

    @property
    def modification_waits(self) -> bool:
        """Whether a re-INVITE or UPDATE of ours waits to be sent again (RFC 3261 14.1)."""
        return self.local_modification is not None and self.local_modification.waiting

    def replace_waiting_offer(self, body: Body | None) -> None:
        """Replace the offer of the waiting modification, since the far end changed the session."""
        if self.local_modification is None or not self.local_modification.waiting:
            raise LocalProtocolError("no modification waits to be sent again")
        self.local_modification.replace_offer(body)

    def answer_modification(
        self, body: Body | None, *, now: float, headers: HeaderFields = ()
    ) -> None:
        """Answer 200 to the re-INVITE, UPDATE or PRACK whose offer was reported.

        For a re-INVITE without an offer `body` is our offer; AckReceived brings its answer.
        """
        if self.server is not None and self.server.pracking is not None:
            answer_prack(self.server, 200, body, now=now, headers=headers)
        else:
            self._require_remote_modification().answer(body, now=now, headers=headers)

    def reject_modification(
        self, status: int = 488, *, now: float, reason: str = "", headers: HeaderFields = ()
    ) -> None:
        """Refuse the re-INVITE, UPDATE or PRACK; the session stays as it was."""
        if self.server is not None and self.server.pracking is not None:
            answer_prack(self.server, status, None, now=now, headers=headers)
        else:
            self._require_remote_modification().reject(
                status, now=now, reason=reason, headers=headers
            )

    def _require_remote_modification(self) -> RemoteModification:
        if self.remote_modification is None:
            raise LocalProtocolError("no modification waits for an answer")
        return self.remote_modification

    def refer(
        self,
        refer_to: NameAddr,
        *,
        now: float,
        referred_by: NameAddr | None = None,
        subscribe: bool = True,
        headers: HeaderFields = (),
    ) -> SubscriberUsage:
        """Send REFER within the dialog.

        `subscribe` False asks for no subscription (Refer-Sub: false, RFC 4488).
        """
        return send_refer(
            self, refer_to, referred_by=referred_by, subscribe=subscribe, headers=headers, now=now
        )

    def info(self, body: Body | None, *, now: float, headers: HeaderFields = ()) -> Exchange:
        """Send INFO within the dialog (RFC 6086)."""
        return self.request_in_dialog("INFO", body, now=now, headers=headers)

    def message(self, body: Body | None, *, now: float, headers: HeaderFields = ()) -> Exchange:
        """Send MESSAGE within the dialog (RFC 3428)."""
        return self.request_in_dialog("MESSAGE", body, now=now, headers=headers)

    def notify(self, body: Body | None, *, now: float, headers: HeaderFields = ()) -> Exchange:
        """Send NOTIFY within the dialog; `headers` must have Event and Subscription-State."""
        return self.request_in_dialog("NOTIFY", body, now=now, headers=headers)

    def request_in_dialog(
        self, method: str, body: Body | None = None, *, now: float, headers: HeaderFields = ()
    ) -> Exchange:
        """Send any other request within the dialog; ResponseReceived or RequestFailed follows."""
        if self.leg is None or self.state is InviteState.TERMINATED:
            raise LocalProtocolError("there is no dialog")
        return self.leg.dialog.send_request(
            method,
            layer=self.layer,
            user=self,
            credentials=self.credentials,
            headers=headers,
            body=body,
            now=now,
        )

    def bye(self, *, now: float, headers: HeaderFields = ()) -> None:
        """End the call: send BYE once confirmed, cancel or reject the INVITE before.

        A confirmed call: sends the ACK that is still owed, then BYE, and reports
        InviteEnded(cause=LOCAL) at once.  If our 2xx has no ACK yet, the BYE waits for it
        (RFC 3261 section 15).  The BYE transaction completes in the background.
        An unanswered INVITE of ours is canceled; an unanswered incoming one gets 480.
        """
        hang_up(self, now=now, headers=headers)

    @property
    def owes_acknowledgment(self) -> bool:
        """Whether a 2xx to our INVITE or re-INVITE waits for `acknowledge`."""
        ours = self.local_modification
        owed = self.client is not None and self.client.owes_acknowledgment
        return owed or (ours is not None and ours.owes_acknowledgment)

    @property
    def settled(self) -> bool:
        """Whether no modification is under way and neither side owes an ACK."""
        return not (
            self.local_modification is not None
            or self.remote_modification is not None
            or self.successes
            or self.owes_acknowledgment
        )

    def require_confirmed_dialog(self) -> InviteDialog:
        """Return the confirmed dialog.  Raises LocalProtocolError unless there is one."""
        if self.leg is None or self.state is not InviteState.CONFIRMED:
            raise LocalProtocolError("the call is not confirmed")
        return self.leg

    # Requests received within its dialogs (DialogOwner) ------------------------------------------

    def request_received(self, transaction: ServerTransaction, *, now: float) -> None:
        """Handle a request within a dialog, other than ACK and CANCEL (RFC 3261 section 12.2.2).

        Answers 481 where the dialog is unknown or its BYE is pending, 500 for a CSeq out of order.
        """
        request = transaction.request
        transaction.session_id = self.session_id
        leg = self._find_dialog(request)
        if leg is None or (self.held_bye is not None and request.method != "BYE"):
            transaction.respond(481, now=now)
        elif not leg.dialog.accept_sequence(request):
            transaction.respond(500, now=now, reason="CSeq out of order")
        else:
            handle = _HANDLERS.get(request.method, InviteUsage.report_request)
            handle(self, transaction, leg, now=now)

    def ack_received(self, request: Request, *, now: float) -> None:
        """Handle an ACK: stop the retransmission of the 2xx that it acknowledges."""
        ack_received(self, request, now=now)

    def _options_received(
        self, transaction: ServerTransaction, leg: InviteDialog, *, now: float
    ) -> None:
        transaction.respond(200, now=now, headers=self.refresh_fields(transaction.flow))

    def report_request(
        self, transaction: ServerTransaction, leg: InviteDialog, *, now: float
    ) -> None:
        """Report a request that the application answers."""
        exchange = ServerExchange(transaction, layer=self.layer, now=now)
        self.emit_event(InDialogRequestReceived(self, exchange, transaction.request))

    # Responses to INFO, MESSAGE and other requests in the dialog (ExchangeUser) ------------------

    def exchange_answered(self, exchange: Exchange, response: Response, *, now: float) -> None:
        """Report the response; 481 and 408 end the dialog (RFC 3261 section 12.2.1.2)."""
        self.emit_event(ResponseReceived(exchange, response, response.final))
        if response.status == 408:
            self._lost(Cause.FAILED, response.reason, now=now)
        elif response.status == 481 and self.state is InviteState.CONFIRMED:
            self.end_usage(Cause.FAILED, now=now, status=481, reason=response.reason)

    def exchange_failed(
        self, exchange: Exchange, status_hint: int, reason: str, *, now: float
    ) -> None:
        """Report the failure; a time-out (408) ends the call, a dead flow does not (RFC 5626)."""
        self.emit_event(RequestFailed(exchange, status_hint, reason))
        if status_hint == 408:
            self._lost(Cause.TIMEOUT, reason, now=now)

    def _lost(self, cause: Cause, reason: str, *, now: float) -> None:
        if self.state is InviteState.CONFIRMED and self.leg is not None:
            send_bye(self, self.leg, now=now)
            self.end_usage(cause, now=now, status=408, reason=reason)

    # For the other modules of the package --------------------------------------------------------

    def emit_event(self, event: object) -> None:
        """Queue an event, unless InviteEnded has been reported."""
        if not self._silent:
            self.layer.emit_event(event)

    def follow_flow(self, dialog: Dialog, flow: Flow) -> None:
        """Bind the dialog to `flow`, on which a target refresh came, if its own flow has closed.

        A far end that has moved opens a new connection, and none can be opened to a phone that
        does not listen.  `DialogTable` has checked that the request is of this dialog's peer.
        """
        if isinstance(dialog.to, Flow) and self.layer.flows.resolve(dialog.to) is None:
            self.table.rebind_dialog(dialog, flow)

    def contact_fields(self, to: Flow | Target) -> list[Field]:
        """Return our Contact field for the dialog's flow; empty while the flow is not open."""
        if self.contact is not None:
            return [("Contact", str(self.contact))]
        flow = self.layer.flows.resolve(to)
        if flow is None:
            return []
        secure = self.leg is not None and self.leg.dialog.secure
        return [("Contact", self.layer.contact_value_of(flow, self.local, secure=secure))]

    def refresh_fields(self, to: Flow | Target) -> list[Field]:
        """Return Contact, Allow, Supported and User-Agent or Server."""
        config = self.layer.config
        fields = self.contact_fields(to)
        fields.append(("Allow", ", ".join(config.allow)))
        fields.append(("Supported", ", ".join(config.supported)))
        if config.user_agent:
            name = "User-Agent" if self.side is Side.CLIENT else "Server"
            fields.append((name, config.user_agent))
        return fields

    def enter_early_dialog(self, leg: InviteDialog) -> None:
        """Adopt a dialog that a provisional response created; the state becomes EARLY."""
        self.state = InviteState.EARLY
        self._adopt_dialog(leg)

    def confirm_dialog(self, leg: InviteDialog, *, now: float) -> None:
        """Adopt the dialog of the 2xx, drop the other forks and end the replaced call."""
        self.state = InviteState.CONFIRMED
        self._drop_dialogs(but=leg)
        self._adopt_dialog(leg)
        if self.replaced is not None:
            self.replaced.be_replaced(now=now)

    def _adopt_dialog(self, leg: InviteDialog) -> None:
        self.leg = leg
        leg.dialog.session_id = self.session_id
        if leg not in self._dialogs:
            self._dialogs.append(leg)
            self.table.add_dialog(leg.dialog, self)

    def _drop_dialogs(self, *, but: InviteDialog | None = None) -> None:
        for leg in self._dialogs:
            if leg is not but:
                self.table.remove_dialog(leg.dialog, self)
        self._dialogs = [leg for leg in self._dialogs if leg is but]

    def _find_dialog(self, request: Request) -> InviteDialog | None:
        """Return the leg that a request belongs to, by the far end's tag."""
        tag = request.from_.tag or ""
        for leg in self._dialogs:
            if leg.dialog.id[2] == tag:
                return leg
        return None

    def hold_bye(self, headers: HeaderFields, *, now: float) -> None:
        """Report the end of the call now; send BYE after the ACK of our 2xx (RFC 3261 15)."""
        self.held_bye = headers
        self._emit_last_event(InviteEnded(self, Cause.LOCAL))
        self._stop_modifications(now=now)
        self._end_dialog_usages(now=now)

    def end_usage(
        self,
        cause: Cause,
        *,
        now: float,
        status: int = 0,
        reason: str = "",
        q850_cause: int = 0,
        request: Request | None = None,
    ) -> None:
        """Report InviteEnded, end the usages in the dialog, then end this one."""
        self._emit_last_event(InviteEnded(self, cause, status, reason, q850_cause, request))
        self._end_dialog_usages(now=now)
        self.end_without_event(now=now)

    def _emit_last_event(self, last: object) -> None:
        self.emit_event(last)
        self._silent = True
        self.state = InviteState.TERMINATED

    def _end_dialog_usages(self, *, now: float) -> None:
        for usage in tuple(self.dialog_usages):
            usage.dialog_ended(now=now)

    def _stop_modifications(self, *, now: float) -> None:
        """Stop our modification and answer the far end's pending one 487 (RFC 3261 15.1.2).

        Stops the retransmission of every 2xx but that to the initial INVITE: a held BYE waits for
        its ACK.
        """
        self.session_timer.stop()
        if self.local_modification is not None:
            self.local_modification.stop()
        if self.remote_modification is not None:
            self.remote_modification.reject(487, now=now)
        first = self.server.request.cseq.number if self.server is not None else None
        for success in tuple(self.successes.values()):
            if success.sequence != first:
                success.stop()

    def end_without_event(self, *, now: float) -> None:
        """End the usage and remove its dialogs; the caller of this method reports the event.

        Drops `client` and `server`, since transactions of the INVITE keep their users alive.
        """
        self.state = InviteState.TERMINATED
        if self.server is not None:
            self.server.stop(now=now)
        part, self.client, self.server = self.client or self.server, None, None
        self._stop_modifications(now=now)
        self._drop_dialogs()
        if part is not None:
            self._invite, self._invite_flow = part.request, part.flow

    def be_replaced(self, *, now: float) -> None:
        """End this call because another replaces it: BYE, or CANCEL before the 2xx.

        RFC 3891 section 3.  Does nothing once the usage has ended.
        """
        if self.state is InviteState.TERMINATED:
            return
        if self.state is InviteState.CONFIRMED and self.leg is not None:
            send_bye(self, self.leg, now=now)
            self.end_usage(Cause.REPLACED, now=now)
        elif self.client is not None:
            cancel_invite(self.client, now=now, headers=())


_HANDLERS = {
    "BYE": bye_received,
    "INVITE": reinvite_received,
    "UPDATE": update_received,
    "PRACK": prack_received,
    "REFER": refer_received,
    "NOTIFY": notify_received,
    "SUBSCRIBE": subscribe_received,
    "OPTIONS": InviteUsage._options_received,
}
