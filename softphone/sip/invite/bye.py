"""A BYE, seen through in the background (RFC 3261 section 15.1.1).

One that its connection takes with it is sent again on the connection that follows (RFC 5626), or
the far end would hold the call until its session timer ends it, if it has one.
"""

from __future__ import annotations

from softphone.sans_io import Flow
from softphone.sip.auth import Authenticator
from softphone.sip.dialog import Dialog, DialogTable
from softphone.sip.invite.context import HeaderFields
from softphone.sip.message import Request, Response
from softphone.sip.transaction import Exchange, ServerTransaction, TransactionLayer

__all__ = ["ByeSender"]

RECONNECT_TIMEOUT = 32.0
"""Seconds that the next connection may take: as long as a BYE waits for its answer (64*T1)."""
CONNECTION_LOST = 503


class ByeSender:
    """One dialog on its way out: it answers a crossing BYE, and is gone with its own."""

    def __init__(
        self,
        dialog: Dialog,
        *,
        layer: TransactionLayer,
        table: DialogTable,
        credentials: Authenticator | None,
    ) -> None:
        self._dialog = dialog
        self._layer = layer
        self._table = table
        self._credentials = credentials
        self._headers: HeaderFields = ()
        self._waits = False
        self._once_more = True

    def send_bye(self, headers: HeaderFields, *, now: float) -> None:
        """Send the BYE."""
        self._table.add_dialog(self._dialog, self)
        self._headers = headers
        self._transmit_bye(now)

    def _transmit_bye(self, now: float) -> None:
        Exchange(
            self._dialog.build_request("BYE", headers=self._headers),
            to=self._dialog.to,
            layer=self._layer,
            user=self,
            credentials=self._credentials,
            take_sequence=self._dialog.take_sequence,
        ).send_request(now=now)

    def exchange_answered(self, exchange: Exchange, response: Response, *, now: float) -> None:
        """Whatever the answer is, the dialog is over."""
        if response.final:
            self._table.remove_dialog(self._dialog, self)

    def exchange_failed(
        self, exchange: Exchange, status_hint: int, reason: str, *, now: float
    ) -> None:
        """No answer: the dialog is over all the same, once the BYE has had its second chance."""
        lost = status_hint == CONNECTION_LOST and isinstance(self._dialog.to, Flow)
        if lost and self._once_more:
            self._once_more, self._waits = False, True
            self._layer.timers.set((self, "patience"), now + RECONNECT_TIMEOUT)
        else:
            self._table.remove_dialog(self._dialog, self)

    def dialog_rebound(self, *, now: float) -> None:
        """The dialog has another connection."""
        if self._waits:
            self._waits = False
            self._layer.timers.cancel((self, "patience"))
            self._transmit_bye(now)

    def handle_timer(self, name: object, *, now: float) -> None:
        """No connection has come."""
        self._waits = False
        self._table.remove_dialog(self._dialog, self)

    def request_received(self, transaction: ServerTransaction, *, now: float) -> None:
        """A BYE that crosses ours is answered 200, all else 481."""
        transaction.respond(200 if transaction.request.method == "BYE" else 481, now=now)

    def ack_received(self, request: Request, *, now: float) -> None:
        """A late ACK changes nothing."""
