"""The INVITE usage of a dialog: one call, as far as signaling goes (RFC 3261 sections 13 to 15).

It carries session descriptions without looking into them, and says for each whether it is an
offer or an answer.  Media, policy and SDP live elsewhere.  `client` or `server` work until the
call is confirmed, `session_timer` all along; what one method needs, sent or received, is in the
module of its name.
"""

from __future__ import annotations

from collections.abc import Sequence

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
from softphone.sip.invite.bye import bye_received, hang_up, send_bye
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
from softphone.sip.message import Body, Field, NameAddr, Replaces, Request, Response, Uri
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

    Equality is identity.  `headers` are further header fields for the message that a command
    sends.  `leg` is the confirmed dialog, or the early one that was heard of last.
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
        """CLIENT: the INVITE is ours; SERVER: it came in."""
        self.layer = layer
        self.table = table
        self.contact = contact
        self.credentials = credentials
        self.state = InviteState.CALLING if side is Side.CLIENT else InviteState.PROCEEDING
        self.leg: InviteDialog | None = None
        self.client: InviteClient | None = None
        self.server: InviteServer | None = None
        self.local_modification: LocalModification | None = None
        """Our re-INVITE or UPDATE that has no final word, or whose 2xx waits for its ACK."""
        self.remote_modification: RemoteModification | None = None
        """The far end's re-INVITE or UPDATE that the application owes an answer to."""
        self.successes: dict[int, SuccessRetransmission] = {}
        """Our 2xx to an INVITE that wait for their ACK, by CSeq number."""
        self.session_timer = SessionTimer(self, wanted=session_timer)
        self.replaced: InviteUsage | None = None
        """The usage that accepting this one ends (RFC 3891)."""
        self.dialog_usages: list[DialogUsage] = []
        self.held_bye: HeaderFields | None = None
        """The header fields of a BYE that waits for the ACK of our 2xx."""
        self._dialogs: list[InviteDialog] = []
        self._silent = False
        self._invite: Request | None = None
        self._invite_flow: Flow | None = None

    # What is known -------------------------------------------------------------------------------

    @property
    def request(self) -> Request:
        """The initial INVITE, as it was last sent or as it came."""
        part = self.client or self.server
        request = part.request if part is not None else self._invite
        if request is None:
            raise LocalProtocolError("the usage has no INVITE yet")
        return request

    @property
    def call_id(self) -> str:
        """The Call-ID."""
        return self.request.call_id

    @property
    def dialog(self) -> Dialog | None:
        """The confirmed dialog, or the early one that was heard of last."""
        return self.leg.dialog if self.leg is not None else None

    @property
    def local(self) -> NameAddr:
        """Our address in the dialog, with our tag once there is one."""
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
        """Where the far end's Contact leads, else the address we called or were called from."""
        if self.leg is not None:
            return self.leg.dialog.remote_target
        return self.request.uri if self.side is Side.CLIENT else self.request.from_.uri

    @property
    def flow(self) -> Flow | None:
        """The open flow that the dialog is on."""
        part = self.client or self.server
        if self.leg is not None:
            return self.layer.flows.resolve(self.leg.dialog.to)
        return part.flow if part is not None else self._invite_flow

    @property
    def answered(self) -> bool:
        """Whether the INVITE has had its final response."""
        if self.server is not None:
            return self.server.answered
        return self.state in (InviteState.CONFIRMED, InviteState.TERMINATED)

    def replaces_value(self, *, early_only: bool = False) -> str:
        """The Replaces value that names this dialog, as the far end must see it (RFC 3891)."""
        if self.leg is None:
            raise LocalProtocolError("there is no dialog to replace yet")
        call_id, local_tag, remote_tag = self.leg.dialog.id
        return str(Replaces(call_id, remote_tag, local_tag, early_only))

    # The caller's side ---------------------------------------------------------------------------

    def cancel(self, *, now: float, headers: HeaderFields = ()) -> None:
        """Give up the call that is not answered: CANCEL, held until a provisional is there.

        InviteRejected(canceled=True) follows in every case; a 2xx that crosses is ended by BYE.
        """
        cancel_invite(self._require_client(), now=now, headers=headers)

    def acknowledge(self, body: Body | None, *, now: float) -> None:
        """ACK with the answer to the offer that came in a 2xx (to the INVITE or a re-INVITE)."""
        ours = self.local_modification
        if self.leg is not None and self.client is not None and self.client.owes_acknowledgment:
            self.client.acknowledge(self.leg, body, now=now)
        elif isinstance(ours, LocalReinvite) and ours.owes_acknowledgment:
            ours.acknowledge(body, now=now)
        else:
            raise LocalProtocolError("no 2xx waits for an ACK with an answer")

    def prack(self, body: Body | None, *, now: float, to_tag: str | None = None) -> None:
        """PRACK with the answer to the offer that came in a reliable provisional (3262 5)."""
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
        """Send a provisional response; `reliable` None: if the caller requires it, or has a body.

        Reliable ones are sent one after another, each once the one before was acknowledged.
        """
        self._require_server().send_provisional(
            status, now=now, reason=reason, body=body, reliable=reliable, headers=headers
        )

    def accept(self, body: Body | None, *, now: float, headers: HeaderFields = ()) -> None:
        """Answer 200 with `body`: the answer, or our offer if the INVITE had none."""
        self._require_server().accept(body, now=now, headers=headers)

    def reject(
        self, status: int, *, now: float, reason: str = "", headers: HeaderFields = ()
    ) -> None:
        """Answer with a failure."""
        self._require_server().reject(status, now=now, reason=reason, headers=headers)

    def redirect(self, contacts: Sequence[NameAddr], *, now: float, status: int = 302) -> None:
        """Answer 3xx with other places."""
        fields = [("Contact", str(contact)) for contact in contacts]
        self._require_server().reject(status, now=now, reason="", headers=fields)

    def _require_server(self) -> InviteServer:
        if self.server is None:
            raise LocalProtocolError("only the callee answers an INVITE")
        return self.server

    # Both ----------------------------------------------------------------------------------------

    def reinvite(self, body: Body | None, *, now: float, headers: HeaderFields = ()) -> None:
        """Offer a new session, or (None) ask for an offer; glare is retried (RFC 3261 14.1)."""
        if self.remote_modification is not None or self.owes_acknowledgment:
            raise LocalProtocolError("an INVITE within the dialog is under way")
        leg = self.require_confirmed_dialog()
        LocalReinvite(self, leg, body, headers=headers).send_modification(now=now)

    def update(self, body: Body | None, *, now: float, headers: HeaderFields = ()) -> None:
        """UPDATE (RFC 3311), in early and confirmed dialogs."""
        if self.leg is None or self.state is InviteState.TERMINATED:
            raise LocalProtocolError("there is no dialog to update")
        LocalUpdate(self, self.leg, body, headers=headers).send_modification(now=now)

    @property
    def modification_waits(self) -> bool:
        """Whether a re-INVITE or UPDATE of ours waits to be sent again (RFC 3261 14.1)."""
        return self.local_modification is not None and self.local_modification.waiting

    def replace_waiting_offer(self, body: Body | None) -> None:
        """Give the modification that waits another offer, made after the far end's change."""
        if self.local_modification is None or not self.local_modification.waiting:
            raise LocalProtocolError("no modification waits to be sent again")
        self.local_modification.replace_offer(body)

    def answer_modification(
        self, body: Body | None, *, now: float, headers: HeaderFields = ()
    ) -> None:
        """Answer 200 to the re-INVITE, UPDATE or PRACK whose offer was reported.

        For a re-INVITE without offer `body` is our offer; its answer comes with AckReceived.
        """
        if self.server is not None and self.server.pracking is not None:
            answer_prack(self.server, 200, body, now=now, headers=headers)
        else:
            self._require_remote_modification().answer(body, now=now, headers=headers)

    def reject_modification(
        self, status: int = 488, *, now: float, reason: str = "", headers: HeaderFields = ()
    ) -> None:
        """Refuse the modification; the session stays as it was."""
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
        """REFER within the dialog; `subscribe` False asks for none (Refer-Sub, RFC 4488)."""
        return send_refer(
            self, refer_to, referred_by=referred_by, subscribe=subscribe, headers=headers, now=now
        )

    def info(self, body: Body | None, *, now: float, headers: HeaderFields = ()) -> Exchange:
        """INFO (RFC 6086)."""
        return self.request_in_dialog("INFO", body, now=now, headers=headers)

    def message(self, body: Body | None, *, now: float, headers: HeaderFields = ()) -> Exchange:
        """MESSAGE within the dialog (RFC 3428)."""
        return self.request_in_dialog("MESSAGE", body, now=now, headers=headers)

    def notify(self, body: Body | None, *, now: float, headers: HeaderFields = ()) -> Exchange:
        """NOTIFY within the dialog; `headers` bring Event and Subscription-State."""
        return self.request_in_dialog("NOTIFY", body, now=now, headers=headers)

    def request_in_dialog(
        self, method: str, body: Body | None = None, *, now: float, headers: HeaderFields = ()
    ) -> Exchange:
        """Any other request within the dialog; ResponseReceived or RequestFailed follows."""
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
        """End the call: BYE once confirmed (after an ACK that is still owed), CANCEL before.

        Once confirmed, InviteEnded(cause=LOCAL) follows at once; the BYE is seen through in the
        background, and held until the ACK of our own 2xx has come (RFC 3261 section 15).  An
        unanswered INVITE that came in is refused with 480.
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
        """Whether no modification is under way, and no ACK of either side still on its way."""
        return not (
            self.local_modification is not None
            or self.remote_modification is not None
            or self.successes
            or self.owes_acknowledgment
        )

    def require_confirmed_dialog(self) -> InviteDialog:
        """The dialog.  Raises LocalProtocolError unless it is confirmed."""
        if self.leg is None or self.state is not InviteState.CONFIRMED:
            raise LocalProtocolError("the call is not confirmed")
        return self.leg

    # What comes in within its dialogs (DialogOwner) ----------------------------------------------

    def request_received(self, transaction: ServerTransaction, *, now: float) -> None:
        """Take a request within the dialog, other than ACK and CANCEL (RFC 3261 section 12.2.2)."""
        request = transaction.request
        leg = self._find_dialog(request)
        if leg is None or (self.held_bye is not None and request.method != "BYE"):
            transaction.respond(481, now=now)
        elif not leg.dialog.accept_sequence(request):
            transaction.respond(500, now=now, reason="CSeq out of order")
        else:
            handle = _HANDLERS.get(request.method, InviteUsage.report_request)
            handle(self, transaction, leg, now=now)

    def ack_received(self, request: Request, *, now: float) -> None:
        """Take an ACK."""
        ack_received(self, request, now=now)

    def _options_received(
        self, transaction: ServerTransaction, leg: InviteDialog, *, now: float
    ) -> None:
        transaction.respond(200, now=now, headers=self.refresh_fields(transaction.flow))

    def report_request(
        self, transaction: ServerTransaction, leg: InviteDialog, *, now: float
    ) -> None:
        """Leave the answer to the application."""
        exchange = ServerExchange(transaction, layer=self.layer, now=now)
        self.emit_event(InDialogRequestReceived(self, exchange, transaction.request))

    # Answers to INFO, MESSAGE and other requests that change nothing (ExchangeUser) ---------------

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
        """Report it; a peer that does not answer at all is gone, a dead flow can come back."""
        self.emit_event(RequestFailed(exchange, status_hint, reason))
        if status_hint == 408:
            self._lost(Cause.TIMEOUT, reason, now=now)

    def _lost(self, cause: Cause, reason: str, *, now: float) -> None:
        if self.state is InviteState.CONFIRMED and self.leg is not None:
            send_bye(self, self.leg, now=now)
            self.end_usage(cause, now=now, status=408, reason=reason)

    # For its parts -------------------------------------------------------------------------------

    def emit_event(self, event: object) -> None:
        """Queue an event, unless the last one has been told."""
        if not self._silent:
            self.layer.emit_event(event)

    def contact_fields(self, to: Flow | Target) -> list[Field]:
        """Our Contact on the dialog's flow; nothing when the flow is still to be opened."""
        if self.contact is not None:
            return [("Contact", str(self.contact))]
        flow = self.layer.flows.resolve(to)
        if flow is None:
            return []
        secure = self.leg is not None and self.leg.dialog.secure
        return [("Contact", self.layer.contact_value_of(flow, self.local, secure=secure))]

    def refresh_fields(self, to: Flow | Target) -> list[Field]:
        """Contact, Allow, Supported and our name."""
        config = self.layer.config
        fields = self.contact_fields(to)
        fields.append(("Allow", ", ".join(config.allow)))
        fields.append(("Supported", ", ".join(config.supported)))
        if config.user_agent:
            name = "User-Agent" if self.side is Side.CLIENT else "Server"
            fields.append((name, config.user_agent))
        return fields

    def enter_early_dialog(self, leg: InviteDialog) -> None:
        """A dialog has come about before the answer."""
        self.state = InviteState.EARLY
        self._adopt_dialog(leg)

    def confirm_dialog(self, leg: InviteDialog, *, now: float) -> None:
        """The INVITE was answered 2xx on this leg; the others are gone."""
        self.state = InviteState.CONFIRMED
        self._drop_dialogs(but=leg)
        self._adopt_dialog(leg)
        if self.replaced is not None:
            self.replaced.be_replaced(now=now)

    def _adopt_dialog(self, leg: InviteDialog) -> None:
        self.leg = leg
        if leg not in self._dialogs:
            self._dialogs.append(leg)
            self.table.add_dialog(leg.dialog, self)

    def _drop_dialogs(self, *, but: InviteDialog | None = None) -> None:
        for leg in self._dialogs:
            if leg is not but:
                self.table.remove_dialog(leg.dialog, self)
        self._dialogs = [leg for leg in self._dialogs if leg is but]

    def _find_dialog(self, request: Request) -> InviteDialog | None:
        """The leg that a request within one of our dialogs belongs to."""
        tag = request.from_.tag or ""
        return next((leg for leg in self._dialogs if (leg.dialog.remote.tag or "") == tag), None)

    def hold_bye(self, headers: HeaderFields, *, now: float) -> None:
        """The call is over for us; its BYE waits for the ACK of our 2xx (RFC 3261 section 15)."""
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
        request: Request | None = None,
    ) -> None:
        """The usage is over; InviteEnded is reported."""
        self._emit_last_event(InviteEnded(self, cause, status, reason, request))
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
        """Nothing of ours is sent again, and what the far end waits for is answered 487 (15.1.2).

        Only the 2xx to its first INVITE goes on, until a BYE that is held may follow it.
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
        """The usage is over and its dialogs are gone; the event is the caller's.

        What it is made of is let go of: the transactions of the INVITE keep who hears of them.
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
        """Another call takes our place (RFC 3891 section 3): BYE, or CANCEL before the answer."""
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
