"""BYE, sent and received (RFC 3261 section 15).

A BYE of ours completes in the background, after its usage has ended.  If its connection is lost it
is sent once more on the next connection of the dialog (RFC 5626).  Otherwise the far end would
keep the call until its session timer expires, if it has one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from softphone.errors import LocalProtocolError
from softphone.sans_io import Flow
from softphone.sip.dialog import Dialog
from softphone.sip.events import Cause
from softphone.sip.invite.invite_dialog import HeaderFields, InviteDialog, InviteState
from softphone.sip.message import EndReason, Request, Response
from softphone.sip.transaction import Exchange, ServerTransaction

if TYPE_CHECKING:
    from softphone.sip.invite.usage import InviteUsage

RECONNECT_TIMEOUT = 32.0
"""Seconds to wait for the next connection: 64*T1, as long as a BYE waits for its response."""
CONNECTION_LOST = 503
"""The status hint of a request whose flow was lost or could not be opened."""


def hang_up(usage: InviteUsage, *, now: float, headers: HeaderFields = ()) -> None:
    """End a call: see `InviteUsage.bye`.  Raises LocalProtocolError once it is over."""
    if usage.state is InviteState.TERMINATED:
        raise LocalProtocolError("the call is over")
    leg = usage.leg
    if leg is None or usage.state is not InviteState.CONFIRMED:
        if usage.client is not None:
            usage.cancel(now=now, headers=headers)
        else:
            usage.reject(480, now=now, headers=headers)
        return
    if usage.owes_acknowledgment:
        usage.acknowledge(None, now=now)
    if usage.server is not None and usage.server.request.cseq.number in usage.successes:
        usage.hold_bye(headers, now=now)
        return
    usage.bye_sender = send_bye(usage, leg, now=now, headers=headers)
    usage.end_usage(Cause.LOCAL, now=now)


def send_held_bye(usage: InviteUsage, *, now: float) -> None:
    """Send the BYE that was held until the ACK of our 2xx, if there is one."""
    if usage.held_bye is not None and usage.leg is not None:
        send_bye(usage, usage.leg, now=now, headers=usage.held_bye)
        usage.end_without_event(now=now)


def send_bye(
    usage: InviteUsage, leg: InviteDialog, *, now: float, headers: HeaderFields = ()
) -> ByeSender:
    """Send BYE in a dialog; its transaction completes in the background."""
    sender = ByeSender(leg.dialog, usage=usage, headers=headers)
    sender.transmit_bye(now=now)
    return sender


def bye_received(
    usage: InviteUsage, transaction: ServerTransaction, leg: InviteDialog, *, now: float
) -> None:
    """Handle a BYE: answer 200, end the usage, and answer a pending INVITE 487."""
    transaction.respond(200, now=now)
    if usage.state is not InviteState.CONFIRMED and usage.client is not None:
        # BYE in an early dialog ends that fork only (section 15); the final response to the INVITE
        # ends the call.
        return
    if usage.server is not None and not usage.server.answered:
        usage.server.terminate(now=now)
    reason = EndReason.of(transaction.request.reasons)
    usage.end_usage(
        Cause.REMOTE,
        now=now,
        status=reason.status,
        reason=reason.text,
        q850_cause=reason.q850_cause,
        request=transaction.request,
    )


class ByeSender:
    """Owns a dialog while its BYE is under way, and answers a BYE that crosses it.

    `answered`: a final response has come.  `connection_lost`: the BYE could not be sent, or its
    connection was lost before the response.  Once `over` is true, neither changes any more, and
    `on_over` has been called.
    """

    def __init__(self, dialog: Dialog, *, usage: InviteUsage, headers: HeaderFields) -> None:
        self._dialog = dialog
        self._layer = usage.layer
        self._table = usage.table
        self._credentials = usage.credentials
        self._headers = headers
        self._waits = False
        self._once_more = True
        self.over = self.answered = self.connection_lost = False
        self.on_over: Callable[[], None] = lambda: None
        self._table.add_dialog(dialog, self)

    def transmit_bye(self, *, now: float) -> None:
        """Send the BYE, for the first time or again on another connection."""
        self._dialog.send_request(
            "BYE",
            layer=self._layer,
            user=self,
            credentials=self._credentials,
            headers=self._headers,
            now=now,
        )

    def exchange_answered(self, exchange: Exchange, response: Response, *, now: float) -> None:
        """Remove the dialog after any final response."""
        if response.final:
            self.answered, self.connection_lost = True, False
            self._end()

    def exchange_failed(
        self, exchange: Exchange, status_hint: int, reason: str, *, now: float
    ) -> None:
        """Remove the dialog; after a lost connection first wait once for another."""
        self.connection_lost = status_hint == CONNECTION_LOST
        if self.connection_lost and isinstance(self._dialog.to, Flow) and self._once_more:
            self._once_more, self._waits = False, True
            self._layer.timers.set((self, "patience"), now + RECONNECT_TIMEOUT)
        else:
            self._end()

    def dialog_rebound(self, *, now: float) -> None:
        """Send the waiting BYE on the dialog's new connection."""
        if self._waits:
            self._waits = False
            self._layer.timers.cancel((self, "patience"))
            self.transmit_bye(now=now)

    def handle_timer(self, name: object, *, now: float) -> None:
        """Remove the dialog: no new connection came in time."""
        self._waits = False
        self._end()

    def _end(self) -> None:
        self._table.remove_dialog(self._dialog, self)
        self.over = True
        self.on_over()

    def request_received(self, transaction: ServerTransaction, *, now: float) -> None:
        """Answer a BYE that crosses ours 200, any other request 481."""
        transaction.respond(200 if transaction.request.method == "BYE" else 481, now=now)

    def ack_received(self, request: Request, *, now: float) -> None:
        """Ignore a late ACK."""
