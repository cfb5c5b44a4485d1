"""The notifier's side of a subscription (RFC 6665 section 4.2), also the implicit one of REFER."""

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
"""The duration of a REFER's subscription in seconds; the final NOTIFY ends it earlier."""
DEFAULT_EXPIRES = 3600.0
SIPFRAG = "message/sipfrag;version=2.0"
MAXIMUM_NOTIFIES = 32
"""The most NOTIFYs under way at once; while there are as many, further ones are dropped."""


class NotifierUsage:
    """A subscription with us as notifier, made for a received SUBSCRIBE or REFER.

    Equality is identity.
    """

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
            # The CSeq distinguishes several REFERs in one dialog (RFC 3515 section 2.4.6).
            self.event = f"refer;id={self.request.cseq.number}"
        self.state = SubscriptionState.NOTIFY_WAIT
        self.expires_at: float | None = None
        self.dialog = dialog
        self._shared = dialog is not None
        self._transaction: ServerTransaction | None = transaction
        self._layer = layer
        self._table = table
        self._under_way = 0
        self._longest = REFER_EXPIRES
        self._silent = (
            self.refers
            and (self.request.headers.get("Refer-Sub") or "").lower().startswith("false")
            and "norefersub" in layer.config.supported
        )
        layer.timers.set((self, "unanswered"), now + layer.config.response_timeout)

    @property
    def terminated(self) -> bool:
        """Whether the subscription has ended."""
        return self.state is SubscriptionState.TERMINATED

    @property
    def flow(self) -> Flow | None:
        """The flow that the request came on; None once it is answered."""
        return None if self._transaction is None else self._transaction.flow

    # Commands ------------------------------------------------------------------------------------

    def accept(self, *, now: float, expires: float | None = None, pending: bool = False) -> None:
        """Answer 200 and grant at most `expires` seconds; call `notify` next.

        A REFER is answered 202, lasts `REFER_EXPIRES` seconds and sends its first NOTIFY (100
        Trying) by itself.  With Refer-Sub: false it gets 200 and no subscription (RFC 4488).
        Raises LocalProtocolError once the request is answered.
        """
        transaction = self._require_transaction()
        asked = self.request.expires
        wanted = float(asked) if asked is not None else DEFAULT_EXPIRES
        if not self.refers:
            self._longest = expires or max(wanted, DEFAULT_EXPIRES)
        granted = REFER_EXPIRES if self.refers else min(wanted, self._longest)
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
        """Answer with a 2xx and Refer-Sub: false; create no subscription (RFC 4488)."""
        transaction = self._require_transaction()
        fields = (*self._contact(transaction), ("Refer-Sub", "false"))
        transaction.respond(status, now=now, headers=fields)
        self._end()

    def reject(
        self, status: int, *, now: float, reason: str = "", headers: tuple[Field, ...] = ()
    ) -> None:
        """Answer with a failure `status`; create no subscription."""
        self._require_transaction().respond(status, now=now, reason=reason, headers=headers)
        self._end()

    def notify(self, body: Body | None, *, now: float, headers: tuple[Field, ...] = ()) -> None:
        """Send NOTIFY with the state in `body`.

        Raises LocalProtocolError unless the subscription is pending or active.
        """
        if self.state not in (SubscriptionState.PENDING, SubscriptionState.ACTIVE):
            raise LocalProtocolError("the subscription is not alive")
        left = max(0, round((self.expires_at or now) - now))
        self._send_notify(StateValue(self.state.value, None, left), body, headers, now=now)

    def activate(self, *, now: float) -> None:
        """Authorize a pending subscription; the next NOTIFY says "active".

        Raises LocalProtocolError unless it is pending.
        """
        if self.state is not SubscriptionState.PENDING:
            raise LocalProtocolError("the subscription is not pending")
        self.state = SubscriptionState.ACTIVE

    def notify_progress(self, status: int, reason: str = "", *, now: float) -> None:
        """Report a REFER's progress: NOTIFY with a sipfrag status line (RFC 3515 section 2.4.5).

        `reason` "" means the RFC 3261 phrase of the status.  A final status ends the subscription.
        Sends nothing without a subscription or once it has ended.  Raises LocalProtocolError unless
        this is a REFER.
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
        """Send the last NOTIFY, with Subscription-State: terminated.

        Raises LocalProtocolError once the subscription has ended.
        """
        if self.state is SubscriptionState.TERMINATED:
            raise LocalProtocolError("the subscription has ended")
        self._send_notify(StateValue("terminated", reason), body, (), now=now)
        self._end()

    def _require_transaction(self) -> ServerTransaction:
        transaction, self._transaction = self._transaction, None
        # If the flow has died in the meantime, the response is dropped, which is no error.
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

    # Responses and requests received -------------------------------------------------------------

    def exchange_answered(self, exchange: Exchange, response: Response, *, now: float) -> None:
        """Handle the response to a NOTIFY; a failure without Retry-After ends the subscription.

        RFC 6665 section 4.2.2.
        """
        if not response.final:
            return
        self._under_way -= 1
        if not response.success and response.retry_after is None:
            self._lost(response.status, response.reason)

    def exchange_failed(
        self, exchange: Exchange, status_hint: int, reason: str, *, now: float
    ) -> None:
        """Handle an unanswered NOTIFY; a time-out (408) ends the subscription."""
        self._under_way -= 1
        if status_hint == 408:
            self._lost(status_hint, reason)

    def _lost(self, status: int, reason: str) -> None:
        if self.state is not SubscriptionState.TERMINATED:
            self._end()
            self._layer.emit_event(SubscriptionTerminated(self, status, reason))

    def matches_request(self, request: Request) -> bool:
        """Whether a request is a SUBSCRIBE that refreshes this subscription."""
        return (
            request.method == "SUBSCRIBE"
            and self.state is not SubscriptionState.TERMINATED
            and (request.headers.get("Event") or "").replace(" ", "").lower() == self.event.lower()
        )

    def request_received(self, transaction: ServerTransaction, *, now: float) -> None:
        """Handle a SUBSCRIBE within the dialog: refresh, or end with Expires 0 (RFC 6665 4.2.1.2).

        Answers 481 to any other request, 500 to a CSeq out of order.
        """
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
        self._follow_subscriber(transaction)
        asked = request.expires
        wanted = float(asked) if asked is not None else DEFAULT_EXPIRES
        expires = min(wanted, self._longest)  # 4.2.1.1: the notifier may shorten it each time
        fields = [*self._contact(transaction), ("Expires", str(round(expires)))]
        transaction.respond(200, now=now, headers=fields)
        if expires == 0:
            self._send_notify(StateValue("terminated", "timeout"), None, (), now=now)
            self._end()
            self._layer.emit_event(SubscriptionTerminated(self, 0, "unsubscribed"))
            return
        self._set_expiry(expires, now=now)
        self._layer.emit_event(SubscriptionRefreshed(self, request))

    def _follow_subscriber(self, transaction: ServerTransaction) -> None:
        """Note a new Contact, and a new flow where the one of the dialog is closed.

        SUBSCRIBE is a target refresh request (RFC 6665 section 4.5.2).
        """
        dialog = self.dialog
        if dialog is None or self._shared:
            return
        dialog.refresh_target(transaction.request)
        if self._layer.flows.resolve(dialog.to) is None:
            self._table.remove_dialog(dialog, self)
            dialog.to = transaction.flow
            self._table.add_dialog(dialog, self)

    def ack_received(self, request: Request, *, now: float) -> None:
        """Ignore an ACK: a subscription has no INVITE."""

    def dialog_ended(self, *, now: float) -> None:
        """Keep the dialog after the end of the call that shared it (RFC 5057)."""
        if self.state is not SubscriptionState.TERMINATED and self.dialog is not None:
            self._table.add_dialog(self.dialog, self)
            self._shared = False

    # Time ----------------------------------------------------------------------------------------

    def _set_expiry(self, expires: float, *, now: float) -> None:
        self.expires_at = now + expires
        self._layer.timers.set((self, "expire"), self.expires_at)

    def handle_timer(self, name: object, *, now: float) -> None:
        """Answer 480 if the application did not, or end the expired subscription."""
        if self.state is SubscriptionState.TERMINATED:
            return
        if name == "unanswered":
            self.reject(480, now=now)
            return
        self._send_notify(StateValue("terminated", "timeout"), None, (), now=now)
        self._lost(0, "timeout")

    def _end(self) -> None:
        self.state = SubscriptionState.TERMINATED
        self._layer.timers.cancel((self, "expire"), (self, "unanswered"))
        if self.dialog is not None:
            self._table.remove_dialog(self.dialog, self)


@dataclass(frozen=True, slots=True)
class ReferValues:
    """Refer-To, and the unescaped Replaces value in its URI, if any (RFC 3891 section 7)."""

    refer_to: NameAddr
    replaces: str | None


def refer_values(request: Request) -> ReferValues | None:
    """Read Refer-To; None unless there is exactly one usable value (RFC 3515 2.4.2).

    None, too, for a URI with more than one Replaces.
    """
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
