"""The subscriber's side of a subscription (RFC 6665), also that of our REFER (RFC 3515, RFC 4488).

It refreshes itself, answers each NOTIFY, and times out when the notifier is gone.  The notifier's
side is in `notifier`.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from softphone.errors import LocalProtocolError
from softphone.sans_io import Flow, Target
from softphone.sip.auth import Authenticator
from softphone.sip.dialog import Dialog, DialogTable, ReferRequest, SubscribeRequest
from softphone.sip.events import NotifyReceived, SubscriptionAccepted, SubscriptionTerminated
from softphone.sip.message import (
    CSeq,
    EventValue,
    Field,
    NameAddr,
    Request,
    Response,
    parse_sipfrag_status,
)
from softphone.sip.transaction import Exchange, ServerTransaction, TransactionLayer
from softphone.sip.transport import Failover

MAXIMUM_ATTEMPTS = 4
"""How many times a SUBSCRIBE is sent again with a greater Expires after 423."""
LEAST_REFRESH = 10.0
"""The least seconds to the next refresh, however soon a notifier lets a subscription expire."""


class SubscriptionState(Enum):
    """The states of RFC 6665 figures 1 and 2, without the transient ones."""

    NOTIFY_WAIT = "notify_wait"
    PENDING = "pending"
    ACTIVE = "active"
    TERMINATED = "terminated"


class SubscriberUsage:
    """A subscription with us as subscriber.  Equality is identity."""

    def __init__(
        self,
        *,
        layer: TransactionLayer,
        table: DialogTable,
        credentials: Authenticator | None,
        event: str,
    ) -> None:
        self.event = event
        """The Event value: the event package, with parameters."""
        self.state = SubscriptionState.NOTIFY_WAIT
        self.expires_at: float | None = None
        self.dialog: Dialog | None = None
        self._layer = layer
        self._table = table
        self._credentials = credentials
        self._package = event.partition(";")[0].strip().lower()
        self._request: Request | None = None
        self._exchange: Exchange | None = None
        self._expires = 0.0
        self._shared = False
        self._refer_id: str | None = None
        self._attempts = 0

    @property
    def terminated(self) -> bool:
        """Whether the subscription has ended."""
        return self.state is SubscriptionState.TERMINATED

    # Commands ------------------------------------------------------------------------------------

    def subscribe(
        self,
        request: Request,
        description: SubscribeRequest | ReferRequest,
        *,
        expires: float,
        now: float,
    ) -> None:
        """Send the first SUBSCRIBE, or a REFER, outside any dialog, to the target described."""
        self._request = request
        self._expires = expires
        self._table.add_half_dialog(request.call_id, request.from_.tag or "", self)
        self._send_request(request, to=description.to, now=now, failover=description.failover)

    def refer(
        self,
        dialog: Dialog,
        refer_to: NameAddr,
        *,
        referred_by: NameAddr | None,
        subscribe: bool,
        headers: Iterable[Field],
        now: float,
    ) -> None:
        """Send a REFER within the dialog of another usage."""
        self.dialog = dialog
        self._shared = True
        fields = [*refer_fields(refer_to, referred_by, subscribe=subscribe), *headers]
        request = dialog.build_request("REFER", headers=fields)
        self._request = request
        self._refer_id = str(request.cseq.number)
        self._send_request(request, to=dialog.to, now=now)

    def refresh(self, *, now: float, contact: NameAddr | None = None) -> None:
        """Send a refreshing SUBSCRIBE now, from now on with this Contact if one is given.

        Raises LocalProtocolError before there is a dialog and after the end.
        """
        if contact is not None and self._request is not None:
            self._request = self._request.with_header("Contact", str(contact))
        self._resubscribe(self._expires, now=now)

    def unsubscribe(self, *, now: float) -> None:
        """Send SUBSCRIBE with Expires: 0; SubscriptionTerminated follows within 64*T1.

        Raises LocalProtocolError before there is a dialog and after the end.
        """
        self._layer.timers.cancel((self, "refresh"))
        self._layer.timers.set((self, "expire"), now + self._layer.timing.timeout)
        self._resubscribe(0, now=now)

    def _resubscribe(self, expires: float, *, now: float) -> None:
        dialog = self.dialog
        if dialog is None or self.state is SubscriptionState.TERMINATED:
            raise LocalProtocolError("there is no subscription to refresh")
        event = self.event
        if self._refer_id is not None and "id=" not in event:
            event = f"{event};id={self._refer_id}"
        fields: list[Field] = [("Event", event), ("Expires", str(round(expires)))]
        request = self._request
        if request is not None and request.method == "SUBSCRIBE":
            fields += [
                (name, value)
                for name, value in request.headers
                if name in ("Accept", "Contact", "User-Agent")
            ]
        self._send_request(dialog.build_request("SUBSCRIBE", headers=fields), to=dialog.to, now=now)

    def _send_request(
        self,
        request: Request,
        *,
        to: Flow | Target,
        now: float,
        failover: Failover | None = None,
    ) -> None:
        dialog = self.dialog
        self._exchange = Exchange(
            request,
            to=to,
            layer=self._layer,
            user=self,
            credentials=self._credentials,
            take_sequence=dialog.take_sequence if dialog is not None else None,
        )
        self._exchange.send_request(now=now, failover=failover)

    # Responses -----------------------------------------------------------------------------------

    def exchange_answered(self, exchange: Exchange, response: Response, *, now: float) -> None:
        """Handle a response to SUBSCRIBE or REFER."""
        if (
            exchange is not self._exchange
            or not response.final
            or self.state is SubscriptionState.TERMINATED
        ):
            return
        if response.success:
            self._accepted(exchange.request, response, now=now)
        elif response.status == 423 and self._with_longer_expires(exchange, response, now=now):
            return
        elif self.dialog is None or self._shared or response.status in (404, 405, 481, 489, 501):
            self._terminate(response.status, response.reason)
        # Any other failure of a refresh leaves the subscription as it is until it expires
        # (RFC 6665 section 4.1.2.2).

    def _accepted(self, request: Request, response: Response, *, now: float) -> None:
        if request.method == "REFER":
            self._refer_accepted(request, response, now=now)
            return
        if self.dialog is None and response.to.tag:
            self._adopt_dialog(self._dialog_of(request, response))
        expires = float(response.expires if response.expires is not None else self._expires)
        asked = request.expires
        if asked == 0:
            # The last NOTIFY follows; the "expire" timer bounds the wait for it.
            return
        self._set_expiry(expires, now=now)
        self._layer.emit_event(SubscriptionAccepted(self, response, expires))
        if self.state is SubscriptionState.NOTIFY_WAIT:
            self._layer.timers.set((self, "notify"), now + self._layer.timing.timeout)

    def _refer_accepted(self, request: Request, response: Response, *, now: float) -> None:
        none = (response.headers.get("Refer-Sub") or "").partition(";")[0].strip().lower()
        self._layer.emit_event(
            SubscriptionAccepted(self, response, 0.0 if none == "false" else 60.0)
        )
        if none == "false":
            self._terminate(response.status, "norefersub")
            return
        if self.dialog is None and response.to.tag:
            self._adopt_dialog(self._dialog_of(request, response))
        if self.state is SubscriptionState.NOTIFY_WAIT:
            self._layer.timers.set((self, "notify"), now + self._layer.timing.timeout)

    def _dialog_of(self, request: Request, response: Response) -> Dialog:
        return Dialog.from_response(request, response, to=self.to, hosts=self.hosts)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that its latest request may have gone to."""
        return () if self._exchange is None else tuple(self._exchange.hosts)

    @property
    def to(self) -> Flow | Target:
        """Where its latest request went.  Raises LocalProtocolError before the first."""
        if self._exchange is None:
            raise LocalProtocolError("nothing has been sent yet")
        return self._exchange.flow or self._exchange.to

    def _adopt_dialog(self, dialog: Dialog) -> None:
        self.dialog = dialog
        if not self._shared:
            self._table.add_dialog(dialog, self)

    def _with_longer_expires(self, exchange: Exchange, response: Response, *, now: float) -> bool:
        least = response.min_expires
        self._attempts += 1
        if least is None or self._attempts > MAXIMUM_ATTEMPTS or self._request is None:
            return False
        self._expires = float(least)
        if self.dialog is not None:
            self._resubscribe(self._expires, now=now)
            return True
        cseq = CSeq(exchange.request.cseq.number + 1, "SUBSCRIBE")
        again = exchange.request.with_header("Expires", str(least)).with_header("CSeq", str(cseq))
        self._send_request(again, to=exchange.to, now=now)
        return True

    def exchange_failed(
        self, exchange: Exchange, status_hint: int, reason: str, *, now: float
    ) -> None:
        """Handle a request without response.

        Retry a refresh that failed for lack of a flow (503) after 5 s; otherwise end.
        """
        if exchange is not self._exchange or self.state is SubscriptionState.TERMINATED:
            return
        if status_hint == 503 and self.expires_at is not None and not self._shared:
            self._layer.timers.set((self, "refresh"), now + 5.0)
            return
        self._terminate(status_hint, reason, answered=False)

    # NOTIFY (DialogOwner, DialogUsage) ----------------------------------------------------------

    def matches_request(self, request: Request) -> bool:
        """Whether a request is a NOTIFY of this subscription (RFC 6665 section 8.2.1)."""
        event = request.event
        if (
            request.method != "NOTIFY"
            or event is None
            or event.package.lower() != self._package
            or self.state is SubscriptionState.TERMINATED
        ):
            return False
        if self._refer_id is not None:
            return event.id in (None, self._refer_id)
        return event.id == EventValue.parse(self.event).id

    def request_received(self, transaction: ServerTransaction, *, now: float) -> None:
        """Answer a NOTIFY 200 and report it; answer 481 to any other request.

        A CSeq out of order gets 500.
        """
        request = transaction.request
        if not self.matches_request(request):
            transaction.respond(481, now=now)
            return
        if self.dialog is None:
            # A NOTIFY that comes before the 2xx creates the dialog (RFC 6665 section 4.4.1).
            self._adopt_dialog_of_notify(transaction)
        elif not self._shared and not self.dialog.accept_sequence(request):
            transaction.respond(500, now=now, reason="CSeq out of order")
            return
        if self.dialog is not None:
            self.dialog.refresh_target(request)
        self._layer.timers.cancel((self, "notify"))
        transaction.respond(200, now=now)
        self._apply_notify(request, now=now)

    def _adopt_dialog_of_notify(self, transaction: ServerTransaction) -> None:
        tag = transaction.request.to.tag or ""
        dialog = Dialog.from_request(transaction.request, to_tag=tag, to=self.to)
        if self._request is not None:
            dialog.local = self._request.from_
            dialog.local_sequence = (
                self._exchange.request.cseq.number
                if self._exchange is not None
                else self._request.cseq.number
            )
        self._adopt_dialog(dialog)

    def _apply_notify(self, request: Request, *, now: float) -> None:
        content = request.content
        status, reason = 0, ""
        if content is not None and content.media_type == "message/sipfrag":
            status, reason = parse_sipfrag_status(content.data) or (0, "")
        self._layer.emit_event(NotifyReceived(self, request, content, status, reason))
        state_value = request.subscription_state
        if state_value is None:
            # RFC 6665 requires Subscription-State; without it the subscription stays active.
            self.state = SubscriptionState.ACTIVE
        elif state_value.state == "terminated":
            retry_after = state_value.retry_after
            self._terminate(
                0, state_value.reason or "", float(retry_after) if retry_after is not None else None
            )
        else:
            pending = state_value.state == "pending"
            self.state = SubscriptionState.PENDING if pending else SubscriptionState.ACTIVE
            if state_value.expires is not None:
                self._set_expiry(float(state_value.expires), now=now)

    def ack_received(self, request: Request, *, now: float) -> None:
        """Ignore an ACK: a subscription has no INVITE."""

    def dialog_ended(self, *, now: float) -> None:
        """Keep the dialog after the call's BYE, for at most 64*T1 (RFC 5057)."""
        if self.state is not SubscriptionState.TERMINATED and self.dialog is not None:
            self._table.add_dialog(self.dialog, self)
            self._shared = False
            self._layer.timers.set((self, "expire"), now + self._layer.timing.timeout)

    # Time ----------------------------------------------------------------------------------------

    def _set_expiry(self, expires: float, *, now: float) -> None:
        self.expires_at = now + expires
        timers = self._layer.timers
        # The notifier's clock may differ from ours: accept its last NOTIFY up to 64*T1 late.
        timers.set((self, "expire"), now + expires + self._layer.timing.timeout)
        if self._refer_id is None and self._package != "refer":
            timers.set((self, "refresh"), now + max(expires - 32.0, expires / 2, LEAST_REFRESH))

    def handle_timer(self, name: object, *, now: float) -> None:
        """Refresh, or end a subscription that has expired or never got a NOTIFY."""
        if self.state is SubscriptionState.TERMINATED:
            return
        if name == "refresh" and self.dialog is not None:
            self._resubscribe(self._expires, now=now)
        elif name == "notify":
            self._terminate(408, "No NOTIFY came", answered=False)
        elif name == "expire":
            self._terminate(408, "The subscription has expired", answered=False)

    def _terminate(
        self,
        status: int,
        reason: str,
        retry_after: float | None = None,
        *,
        answered: bool = True,
    ) -> None:
        self.state = SubscriptionState.TERMINATED
        if self._exchange is not None:
            self._exchange.abandon()
            self._exchange = None
        for name in ("refresh", "notify", "expire"):
            self._layer.timers.cancel((self, name))
        if self._request is not None:
            self._table.remove_half_dialog(
                self._request.call_id, self._request.from_.tag or "", self
            )
        if self.dialog is not None:
            self._table.remove_dialog(self.dialog, self)
        self._layer.emit_event(SubscriptionTerminated(self, status, reason, retry_after, answered))


def refer_fields(
    refer_to: NameAddr, referred_by: NameAddr | None, *, subscribe: bool
) -> list[Field]:
    """Return Refer-To, Referred-By (RFC 3892) and, without `subscribe`, Refer-Sub (RFC 4488)."""
    fields: list[Field] = [("Refer-To", str(refer_to))]
    if referred_by is not None:
        fields.append(("Referred-By", str(referred_by)))
    if not subscribe:
        fields += [("Refer-Sub", "false"), ("Supported", "norefersub")]
    return fields
