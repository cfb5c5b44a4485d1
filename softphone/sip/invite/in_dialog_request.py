"""Requests in a call's dialog that change nothing about it: INFO, MESSAGE, NOTIFY and others."""

from __future__ import annotations

from softphone.sip.events import Cause, RequestFailed, ResponseReceived
from softphone.sip.invite.context import HeaderFields, InviteHost, InviteState
from softphone.sip.invite.invite_dialog import Leg
from softphone.sip.message import Body, Response
from softphone.sip.transaction import Exchange

__all__ = ["Conversation"]


class Conversation:
    """The user of every such request of one INVITE usage."""

    def __init__(self, *, host: InviteHost) -> None:
        self._host = host

    def request(
        self, method: str, body: Body | None, *, leg: Leg, now: float, headers: HeaderFields
    ) -> Exchange:
        """Send one."""
        dialog = leg.dialog
        exchange = Exchange(
            dialog.request(method, headers=headers, body=body),
            to=dialog.to,
            layer=self._host.layer,
            user=self,
            credentials=self._host.credentials,
            take_sequence=dialog.take_sequence,
        )
        exchange.send(now=now)
        return exchange

    def exchange_answered(self, exchange: Exchange, response: Response, *, now: float) -> None:
        """Report the response; 481 and 408 end the dialog (RFC 3261 section 12.2.1.2)."""
        self._host.emit(ResponseReceived(exchange, response, response.final))
        if response.status == 408:
            self._lost(Cause.FAILED, 408, response.reason, now=now)
        elif response.status == 481 and self._host.state is InviteState.CONFIRMED:
            self._host.end(Cause.FAILED, now=now, status=481, reason=response.reason)

    def exchange_failed(
        self, exchange: Exchange, status_hint: int, reason: str, *, now: float
    ) -> None:
        """Report it; a peer that does not answer at all is gone, a dead flow can come back."""
        self._host.emit(RequestFailed(exchange, status_hint, reason))
        if status_hint == 408:
            self._lost(Cause.TIMEOUT, 408, reason, now=now)

    def _lost(self, cause: Cause, status: int, reason: str, *, now: float) -> None:
        leg = self._host.leg
        if self._host.state is InviteState.CONFIRMED and leg is not None:
            self._host.hang_up(leg, now=now)
            self._host.end(cause, now=now, status=status, reason=reason)
