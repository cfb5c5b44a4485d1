"""A BYE, seen through in the background (RFC 3261 section 15.1.1)."""

from __future__ import annotations

from softphone.sip.authenticator import Authenticator
from softphone.sip.dialog import Dialog
from softphone.sip.dialog_table import DialogTable
from softphone.sip.exchange import Exchange
from softphone.sip.invite_host import HeaderFields
from softphone.sip.message import Request, Response
from softphone.sip.server_transaction import ServerTransaction
from softphone.sip.transaction_layer import TransactionLayer

__all__ = ["HangUp"]


class HangUp:
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

    def send(self, headers: HeaderFields, *, now: float) -> None:
        """Send the BYE."""
        self._table.add(self._dialog, self)
        Exchange(
            self._dialog.request("BYE", headers=headers),
            to=self._dialog.to,
            layer=self._layer,
            user=self,
            credentials=self._credentials,
            take_sequence=self._dialog.take_sequence,
        ).send(now=now)

    def exchange_answered(self, exchange: Exchange, response: Response, *, now: float) -> None:
        """Whatever the answer is, the dialog is over."""
        if response.final:
            self._table.remove(self._dialog, self)

    def exchange_failed(
        self, exchange: Exchange, status_hint: int, reason: str, *, now: float
    ) -> None:
        """No answer: the dialog is over all the same."""
        self._table.remove(self._dialog, self)

    def request_received(self, transaction: ServerTransaction, *, now: float) -> None:
        """A BYE that crosses ours is answered 200, all else 481."""
        transaction.respond(200 if transaction.request.method == "BYE" else 481, now=now)

    def ack_received(self, request: Request, *, now: float) -> None:
        """A late ACK changes nothing."""
