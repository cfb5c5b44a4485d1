"""Requests in a call's dialog that change nothing about it: INFO, MESSAGE, NOTIFY and others."""

from __future__ import annotations

from softphone.sip.events import Cause, RequestFailed, ResponseReceived
from softphone.sip.invite.context import HeaderFields, InviteContext, InviteState
from softphone.sip.invite.invite_dialog import InviteDialog
from softphone.sip.message import Body, Response
from softphone.sip.transaction import Exchange

__all__ = ["InDialogRequests"]


class InDialogRequests:
    """The user of every such request of one INVITE usage."""

    def __init__(self, *, context: InviteContext) -> None:
        self._context = context

    def send_request(
        self,
        method: str,
        body: Body | None,
        *,
        leg: InviteDialog,
        now: float,
        headers: HeaderFields,
    ) -> Exchange:
        """Send one."""
        dialog = leg.dialog
        exchange = Exchange(
            dialog.build_request(method, headers=headers, body=body),
            to=dialog.to,
            layer=self._context.layer,
            user=self,
            credentials=self._context.credentials,
            take_sequence=dialog.take_sequence,
        )
        exchange.send_request(now=now)
        return exchange

    def exchange_answered(self, exchange: Exchange, response: Response, *, now: float) -> None:
        """Report the response; 481 and 408 end the dialog (RFC 3261 section 12.2.1.2)."""
        self._context.emit_event(ResponseReceived(exchange, response, response.final))
        if response.status == 408:
            self._lost(Cause.FAILED, 408, response.reason, now=now)
        elif response.status == 481 and self._context.state is InviteState.CONFIRMED:
            self._context.end_usage(Cause.FAILED, now=now, status=481, reason=response.reason)

    def exchange_failed(
        self, exchange: Exchange, status_hint: int, reason: str, *, now: float
    ) -> None:
        """Report it; a peer that does not answer at all is gone, a dead flow can come back."""
        self._context.emit_event(RequestFailed(exchange, status_hint, reason))
        if status_hint == 408:
            self._lost(Cause.TIMEOUT, 408, reason, now=now)

    def _lost(self, cause: Cause, status: int, reason: str, *, now: float) -> None:
        leg = self._context.leg
        if self._context.state is InviteState.CONFIRMED and leg is not None:
            self._context.send_bye(leg, now=now)
            self._context.end_usage(cause, now=now, status=status, reason=reason)
