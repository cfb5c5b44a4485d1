"""Somebody's subscription to us (RFC 6665 section 4.2), and the one that their REFER implies."""

from __future__ import annotations

from dataclasses import dataclass

from softphone.errors import LocalProtocolError
from softphone.sans_io import Flow
from softphone.sip.dialog import Dialog, DialogTable
from softphone.sip.events import SubscriptionRefreshed, SubscriptionTerminated
from softphone.sip.message import Body, Field, NameAddr, Request, Response, SipUri, unescape
from softphone.sip.message import SubscriptionStateValue as StateValue
from softphone.sip.message.status import reason_phrase
from softphone.sip.subscription.subscriber import SubscriptionState
from softphone.sip.transaction import Exchange, ServerTransaction, TransactionLayer

REFER_EXPIRES = 180.0
"""How long a REFER is reported on when the application never says the end, in seconds."""
DEFAULT_EXPIRES = 3600.0
SIPFRAG = "message/sipfrag;version=2.0"
MAXIMUM_NOTIFIES = 32
"""NOTIFYs under way at once; further states replace one another."""


class NotifierUsage:
    """We are the notifier.  A REFER that came in has one too.  Equality is identity."""

    def __init__(
        self,
        transaction: ServerTransaction,
        *,
        dialog: Dialog | None,
        layer: TransactionLayer,
        table: DialogTable,
        now: float,
    ) -> None:
        self.request = transaction.request
        """The first SUBSCRIBE, or the REFER."""
        self.refers = self.request.method == "REFER"
        self.event = "refer" if self.refers else self.request.headers.get("Event") or ""
        if self.refers and dialog is not None:
            # Several REFERs in one dialog are told apart by their CSeq (RFC 3515 section 2.4.6).
            self.event = f"refer;id={self.request.cseq.number}"
        self.state = SubscriptionState.NOTIFY_WAIT
        self.expires_at: float | None = None
        self.dialog = dialog
        self._shared = dialog is not None
        self._transaction: ServerTransaction | None = transaction
        self._layer = layer
        self._table = table
        self._under_way = 0
        self._silent = (
            self.refers
            and (self.request.headers.get("Refer-Sub") or "").lower().startswith("false")
            and "norefersub" in layer.config.supported
        )
        layer.timers.set((self, "unanswered"), now + layer.config.response_timeout)

    @property
    def terminated(self) -> bool:
        """Whether it has ended."""
        return self.state is SubscriptionState.TERMINATED

    @property
    def flow(self) -> Flow | None:
        """The flow that the request came on; None once it was answered."""
        return None if self._transaction is None else self._transaction.flow

    # Commands ------------------------------------------------------------------------------------

    def accept(self, *, now: float, expires: float | None = None, pending: bool = False) -> None:
        """Answer 200 (REFER: 202); the first NOTIFY must follow (REFER: 100 Trying goes itself)."""
        transaction = self._require_transaction()
        asked = self.request.expires
        wanted = float(asked) if asked is not None else DEFAULT_EXPIRES
        granted = REFER_EXPIRES if self.refers else min(wanted, expires or wanted)
        if self.dialog is None:
            self.dialog = Dialog.from_request(
                self.request, to_tag=transaction.to_tag, to=transaction.to
            )
            self._table.add_dialog(self.dialog, self)
        fields = self._contact(transaction)
        if self._silent:
            fields.append(("Refer-Sub", "false"))
        elif not self.refers:
            fields.append(("Expires", str(round(granted))))
        transaction.respond(
            202 if self.refers and not self._silent else 200, now=now, headers=fields
        )
        if self._silent:
            self._end()
            return
        self.state = SubscriptionState.PENDING if pending else SubscriptionState.ACTIVE
        self._set_expiry(granted, now=now)
        if self.refers:
            self.notify_progress(100, "Trying", now=now)

    def accept_without_subscription(self, *, now: float, status: int = 202) -> None:
        """Answer with a 2xx and report on nothing (RFC 4488): no subscription comes about."""
        transaction = self._require_transaction()
        fields = (*self._contact(transaction), ("Refer-Sub", "false"))
        transaction.respond(status, now=now, headers=fields)
        self._end()

    def reject(
        self, status: int, *, now: float, reason: str = "", headers: tuple[Field, ...] = ()
    ) -> None:
        """Answer with a failure; the subscription does not come about."""
        self._require_transaction().respond(status, now=now, reason=reason, headers=headers)
        self._end()

    def notify(self, body: Body | None, *, now: float, headers: tuple[Field, ...] = ()) -> None:
        """Send the state.  Raises LocalProtocolError unless accepted and alive."""
        if self.state not in (SubscriptionState.PENDING, SubscriptionState.ACTIVE):
            raise LocalProtocolError("the subscription is not alive")
        left = max(0, round((self.expires_at or now) - now))
        self._send_notify(StateValue(self.state.value, None, left), body, headers, now=now)

    def activate(self, *, now: float) -> None:
        """A pending subscription is authorized: the next NOTIFY says so."""
        if self.state is not SubscriptionState.PENDING:
            raise LocalProtocolError("the subscription is not pending")
        self.state = SubscriptionState.ACTIVE

    def notify_progress(self, status: int, reason: str = "", *, now: float) -> None:
        """REFER: NOTIFY a sipfrag status line; a final status ends the subscription (3515 2.4.5).

        Without a `reason` it has the phrase of RFC 3261 for its status.
        Nothing is sent where the referrer wanted no subscription, or it has ended.
        """
        if not self.refers:
            raise LocalProtocolError("only a REFER has progress")
        if self.state is SubscriptionState.TERMINATED:
            return
        phrase = reason or reason_phrase(status)
        body = Body(SIPFRAG, f"SIP/2.0 {status} {phrase}\r\n".encode())
        if status < 200:
            self.notify(body, now=now)
        else:
            self.terminate(now=now, body=body)

    def terminate(
        self, *, now: float, reason: str = "noresource", body: Body | None = None
    ) -> None:
        """Send the last NOTIFY with Subscription-State: terminated."""
        if self.state is SubscriptionState.TERMINATED:
            raise LocalProtocolError("the subscription has ended")
        self._send_notify(StateValue("terminated", reason), body, (), now=now)
        self._end()

    def _require_transaction(self) -> ServerTransaction:
        transaction, self._transaction = self._transaction, None
        # When the flow has died meanwhile, the answer is dropped: that is nobody's mistake.
        if transaction is None:
            raise LocalProtocolError("the request has been answered already")
        self._layer.timers.cancel((self, "unanswered"))
        return transaction

    def _contact(self, transaction: ServerTransaction) -> list[Field]:
        return [("Contact", self._layer.contact_value_of(transaction.flow, self.request.to))]

    def _send_notify(
        self, state: StateValue, body: Body | None, headers: tuple[Field, ...], *, now: float
    ) -> None:
        dialog = self.dialog
        if dialog is None or self._under_way >= MAXIMUM_NOTIFIES:
            return
        fields = [("Event", self.event), ("Subscription-State", str(state)), *headers]
        self._under_way += 1
        dialog.send_request(
            "NOTIFY", layer=self._layer, user=self, headers=fields, body=body, now=now
        )

    # What comes in -------------------------------------------------------------------------------

    def exchange_answered(self, exchange: Exchange, response: Response, *, now: float) -> None:
        """A NOTIFY was answered; a failure ends the subscription (RFC 6665 section 4.2.2)."""
        if not response.final:
            return
        self._under_way -= 1
        if not response.success and response.retry_after is None:
            self._lost(response.status, response.reason)

    def exchange_failed(
        self, exchange: Exchange, status_hint: int, reason: str, *, now: float
    ) -> None:
        """A NOTIFY was not answered."""
        self._under_way -= 1
        if status_hint == 408:
            self._lost(status_hint, reason)

    def _lost(self, status: int, reason: str) -> None:
        if self.state is not SubscriptionState.TERMINATED:
            self._end()
            self._layer.emit_event(SubscriptionTerminated(self, status, reason))

    def matches_request(self, request: Request) -> bool:
        """Whether a SUBSCRIBE is a refresh of this subscription."""
        return (
            request.method == "SUBSCRIBE"
            and self.state is not SubscriptionState.TERMINATED
            and (request.headers.get("Event") or "").replace(" ", "").lower() == self.event.lower()
        )

    def request_received(self, transaction: ServerTransaction, *, now: float) -> None:
        """A SUBSCRIBE within the dialog: a refresh, or the end (RFC 6665 section 4.2.1.2)."""
        request = transaction.request
        if not self.matches_request(request):
            transaction.respond(481, now=now)
            return
        if (
            self.dialog is not None
            and not self._shared
            and not self.dialog.accept_sequence(request)
        ):
            transaction.respond(500, now=now, reason="CSeq out of order")
            return
        asked = request.expires
        expires = float(asked) if asked is not None else DEFAULT_EXPIRES
        fields = [*self._contact(transaction), ("Expires", str(round(expires)))]
        transaction.respond(200, now=now, headers=fields)
        if expires == 0:
            self._send_notify(StateValue("terminated", "timeout"), None, (), now=now)
            self._end()
            self._layer.emit_event(SubscriptionTerminated(self, 0, "unsubscribed"))
            return
        self._set_expiry(expires, now=now)
        self._layer.emit_event(SubscriptionRefreshed(self, request))

    def ack_received(self, request: Request, *, now: float) -> None:
        """There is no ACK here."""

    def dialog_ended(self, *, now: float) -> None:
        """The call is over; a REFER is still reported on in its dialog (RFC 5057)."""
        if self.state is not SubscriptionState.TERMINATED and self.dialog is not None:
            self._table.add_dialog(self.dialog, self)
            self._shared = False

    # Time ----------------------------------------------------------------------------------------

    def _set_expiry(self, expires: float, *, now: float) -> None:
        self.expires_at = now + expires
        self._layer.timers.set((self, "expire"), self.expires_at)

    def handle_timer(self, name: object, *, now: float) -> None:
        """The application does not answer, or the subscription has expired."""
        if self.state is SubscriptionState.TERMINATED:
            return
        if name == "unanswered":
            self.reject(480, now=now)
            return
        self._send_notify(StateValue("terminated", "timeout"), None, (), now=now)
        self._lost(0, "timeout")

    def _end(self) -> None:
        self.state = SubscriptionState.TERMINATED
        self._layer.timers.cancel((self, "expire"))
        self._layer.timers.cancel((self, "unanswered"))
        if self.dialog is not None:
            self._table.remove_dialog(self.dialog, self)


@dataclass(frozen=True, slots=True)
class ReferValues:
    """Refer-To, and the Replaces that its URI carries, unescaped (RFC 3891 section 7)."""

    refer_to: NameAddr
    replaces: str | None


def refer_values(request: Request) -> ReferValues | None:
    """What a REFER asks for; None unless there is one usable Refer-To (RFC 3515 2.4.2)."""
    refer_to = request.refer_to
    if refer_to is None:
        return None
    replaces = None
    if isinstance(refer_to.uri, SipUri):
        found = [value for name, value in refer_to.uri.headers if name.lower() == "replaces"]
        if len(found) > 1:
            return None
        if found:
            replaces = unescape(found[0]).decode("utf-8", "replace")
    return ReferValues(refer_to, replaces)
