"""The INVITE usage of a dialog: one call, as far as signaling goes (RFC 3261 sections 13 to 15).

It carries session descriptions without looking into them, and says for each whether it is an
offer or an answer.  Media, policy and SDP live elsewhere.  The work is done by its parts:
`client` or `server` until the call is confirmed, `local_modification` and
`remote_modification` after that, `session_timer` all along.  What comes in is sorted by
`dispatch`.
"""

from __future__ import annotations

from collections.abc import Sequence

from softphone.errors import LocalProtocolError
from softphone.sans_io import Flow, Side, Target
from softphone.sip.auth import Authenticator
from softphone.sip.dialog import Dialog, DialogOwner, DialogTable
from softphone.sip.events import Cause, InviteEnded
from softphone.sip.invite.bye import ByeSender
from softphone.sip.invite.client import InviteClient
from softphone.sip.invite.context import HeaderFields, InviteState
from softphone.sip.invite.in_dialog_request import InDialogRequests
from softphone.sip.invite.invite_dialog import InviteDialog
from softphone.sip.invite.local_modification import LocalModification
from softphone.sip.invite.remote_modification import RemoteModification
from softphone.sip.invite.server import InviteServer
from softphone.sip.invite.session_timer import SessionTimer
from softphone.sip.message import Body, Field, NameAddr, Reason, Replaces, Request, Uri
from softphone.sip.subscription import DialogUsage, SubscriberUsage
from softphone.sip.transaction import Exchange, TransactionLayer

__all__ = ["InviteState", "InviteUsage"]

MAXIMUM_DIALOG_USAGES = 32
"""Subscriptions that may live in one call's dialog at once."""


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
        self.local_modification = LocalModification(context=self, side=side)
        self.remote_modification = RemoteModification(context=self)
        self.session_timer = SessionTimer(
            user=self,
            timers=layer.timers,
            wanted=session_timer,
            min_se=layer.config.min_se,
            enabled="timer" in layer.config.supported,
        )
        self.replaced: InviteUsage | None = None
        """The usage that accepting this one ends (RFC 3891)."""
        self.dialog_owner: DialogOwner | None = None
        """Who takes the requests within our dialogs: an `InviteDispatch`."""
        self.dialog_usages: list[DialogUsage] = []
        self.held_bye: HeaderFields | None = None
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
        if self.client is None:
            raise LocalProtocolError("only the caller cancels")
        self.client.cancel(now=now, headers=headers)

    def acknowledge(self, body: Body | None, *, now: float) -> None:
        """ACK with the answer to the offer that came in a 2xx (to the INVITE or a re-INVITE)."""
        if self.leg is not None and self.client is not None and self.client.owes_acknowledgment:
            self.client.acknowledge(self.leg, body, now=now)
        else:
            self.local_modification.acknowledge(body, now=now)

    def prack(self, body: Body | None, *, now: float, to_tag: str | None = None) -> None:
        """PRACK with the answer to the offer that came in a reliable provisional (3262 5)."""
        if self.client is None:
            raise LocalProtocolError("only the caller sends PRACK")
        self.client.prack(body, now=now, to_tag=to_tag)

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
        if self.remote_modification.pending or self._owes_acknowledgment():
            raise LocalProtocolError("an INVITE within the dialog is under way")
        self.local_modification.send_modification(
            "INVITE", body, leg=self._require_confirmed_dialog(), now=now, headers=headers
        )

    def update(self, body: Body | None, *, now: float, headers: HeaderFields = ()) -> None:
        """UPDATE (RFC 3311), in early and confirmed dialogs."""
        if self.leg is None or self.state is InviteState.TERMINATED:
            raise LocalProtocolError("there is no dialog to update")
        self.local_modification.send_modification(
            "UPDATE", body, leg=self.leg, now=now, headers=headers
        )

    @property
    def modification_waits(self) -> bool:
        """Whether a re-INVITE or UPDATE of ours waits to be sent again (RFC 3261 14.1)."""
        return self.local_modification.waiting

    def replace_waiting_offer(self, body: Body | None) -> None:
        """Give the modification that waits another offer, made after the far end's change."""
        self.local_modification.replace_offer(body)

    def answer_modification(
        self, body: Body | None, *, now: float, headers: HeaderFields = ()
    ) -> None:
        """Answer 200 to the re-INVITE, UPDATE or PRACK whose offer was reported.

        For a re-INVITE without offer `body` is our offer; its answer comes with AckReceived.
        """
        if self.server is not None and self.server.pracking:
            self.server.answer_prack(200, body, now=now, headers=headers)
        else:
            self.remote_modification.answer(body, now=now, headers=headers)

    def reject_modification(
        self, status: int = 488, *, now: float, reason: str = "", headers: HeaderFields = ()
    ) -> None:
        """Refuse the modification; the session stays as it was."""
        if self.server is not None and self.server.pracking:
            self.server.answer_prack(status, None, now=now, headers=headers)
        else:
            self.remote_modification.reject(status, now=now, reason=reason, headers=headers)

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
        leg = self._require_confirmed_dialog()
        subscription = SubscriberUsage(
            layer=self.layer, table=self.table, credentials=self.credentials, event="refer"
        )
        self.add_dialog_usage(subscription)
        subscription.refer(
            leg.dialog,
            refer_to,
            referred_by=referred_by,
            subscribe=subscribe,
            headers=(*self.contact_fields(leg.dialog.to), *headers),
            now=now,
        )
        return subscription

    def add_dialog_usage(self, usage: DialogUsage) -> bool:
        """Let another usage live in our dialog; False when there are too many."""
        self.dialog_usages = [known for known in self.dialog_usages if not known.terminated]
        if len(self.dialog_usages) >= MAXIMUM_DIALOG_USAGES:
            return False
        self.dialog_usages.append(usage)
        return True

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
        conversation = InDialogRequests(context=self)
        return conversation.send_request(method, body, leg=self.leg, now=now, headers=headers)

    def bye(self, *, now: float, headers: HeaderFields = ()) -> None:
        """End the call: BYE once confirmed (after an ACK that is still owed), CANCEL before.

        Once confirmed, InviteEnded(cause=LOCAL) follows at once; the BYE is seen through in the
        background, and held until the ACK of our own 2xx has come (RFC 3261 section 15).  An
        unanswered INVITE that came in is refused with 480.
        """
        if self.state is InviteState.TERMINATED:
            raise LocalProtocolError("the call is over")
        leg = self.leg
        if leg is None or self.state is not InviteState.CONFIRMED:
            if self.client is not None:
                self.cancel(now=now, headers=headers)
            else:
                self.reject(480, now=now, headers=headers)
            return
        if self._owes_acknowledgment():
            self.acknowledge(None, now=now)
        if self.server is not None and not self.server.acknowledged:
            self.held_bye = headers
            self._emit_last_event(InviteEnded(self, Cause.LOCAL))
            self._stop_timers(now=now)
            return
        self.send_bye(leg, now=now, headers=headers)
        self.end_usage(Cause.LOCAL, now=now)

    def _owes_acknowledgment(self) -> bool:
        owed = self.client is not None and self.client.owes_acknowledgment
        return owed or self.local_modification.owes_acknowledgment

    def _require_confirmed_dialog(self) -> InviteDialog:
        if self.leg is None or self.state is not InviteState.CONFIRMED:
            raise LocalProtocolError("the call is not confirmed")
        return self.leg

    # For its parts (InviteContext)
    # ------------------------------------------------------------------

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
            if self.dialog_owner is not None:
                self.table.add_dialog(leg.dialog, self.dialog_owner)

    def _drop_dialogs(self, *, but: InviteDialog | None = None) -> None:
        for leg in self._dialogs:
            if leg is not but and self.dialog_owner is not None:
                self.table.remove_dialog(leg.dialog, self.dialog_owner)
        self._dialogs = [leg for leg in self._dialogs if leg is but]

    def find_dialog(self, request: Request) -> InviteDialog | None:
        """The leg that a request within one of our dialogs belongs to."""
        tag = request.from_.tag or ""
        return next((leg for leg in self._dialogs if (leg.dialog.remote.tag or "") == tag), None)

    def send_bye(self, leg: InviteDialog, *, now: float, headers: HeaderFields = ()) -> None:
        """Send BYE on a leg and see it through in the background."""
        ByeSender(
            leg.dialog, layer=self.layer, table=self.table, credentials=self.credentials
        ).send_bye(headers, now=now)

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
        self._stop_timers(now=now)
        self.end_without_event(now=now)

    def _emit_last_event(self, last: object) -> None:
        self.emit_event(last)
        self._silent = True
        self.state = InviteState.TERMINATED

    def _stop_timers(self, *, now: float) -> None:
        self.session_timer.stop()
        self.local_modification.stop()
        self.remote_modification.stop(now=now)
        for usage in tuple(self.dialog_usages):
            usage.dialog_ended(now=now)

    def end_without_event(self, *, now: float) -> None:
        """The usage is over and its dialogs are gone; the event is the caller's.

        What it is made of is let go of: the transactions of the INVITE keep who hears of them.
        """
        self.state = InviteState.TERMINATED
        self.session_timer.stop()
        self.local_modification.stop()
        self.remote_modification.stop(now=now)
        if self.server is not None:
            self.server.stop(now=now)
        self._drop_dialogs()
        part = self.client or self.server
        if part is not None:
            self._invite, self._invite_flow = part.request, part.flow
        self.client = self.server = self.dialog_owner = None

    def be_replaced(self, *, now: float) -> None:
        """Another call takes our place (RFC 3891 section 3): BYE, or CANCEL before the answer."""
        if self.state is InviteState.TERMINATED:
            return
        if self.state is InviteState.CONFIRMED and self.leg is not None:
            self.send_bye(self.leg, now=now)
            self.end_usage(Cause.REPLACED, now=now)
        elif self.client is not None:
            self.client.cancel(now=now)

    # Session timer (SessionTimerUser) ------------------------------------------------------------

    def refresh_due(self, *, now: float) -> None:
        """Refresh by UPDATE where the far end allows it, else by the last offer again."""
        leg = self.leg
        if leg is None or self.state is not InviteState.CONFIRMED:
            return
        if (
            self.local_modification.pending
            or self.remote_modification.pending
            or self.owes_anything
        ):
            self.layer.timers.set((self.session_timer, "refresh"), now + 1.0)
        elif "UPDATE" in leg.dialog.remote_allow:
            self.local_modification.send_modification(
                "UPDATE", None, leg=leg, now=now, refresh=True
            )
        else:
            self.local_modification.send_modification(
                "INVITE", leg.local_body, leg=leg, now=now, refresh=True
            )

    @property
    def owes_anything(self) -> bool:
        """Whether an ACK of either side is still on its way."""
        unacknowledged = self.server is not None and not self.server.acknowledged
        return (
            self._owes_acknowledgment()
            or unacknowledged
            or not self.remote_modification.acknowledged
        )

    def session_expired(self, *, now: float) -> None:
        """The peer is gone: BYE (RFC 4028 section 10)."""
        if self.leg is not None and self.state is InviteState.CONFIRMED:
            reason = Reason("SIP", 408, "Session timer expired")
            self.send_bye(self.leg, now=now, headers=(("Reason", str(reason)),))
            self.end_usage(Cause.TIMEOUT, now=now, status=408, reason="Session timer expired")
