"""re-INVITE, ours and the far end's (RFC 3261 section 14): offers in either direction, and an ACK.

What it has in common with UPDATE is in `modification`, the ACK for its 2xx in `ack`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from softphone.sip.invite.ack import SuccessAck, SuccessRetransmission
from softphone.sip.invite.invite_dialog import (
    InviteDialog,
    InviteState,
    OfferAnswerInput,
    OfferState,
    session_body,
)
from softphone.sip.invite.modification import LocalModification, RemoteModification, refuse_busy
from softphone.sip.message import Body, BodyRole, Response
from softphone.sip.transaction import ClientTransaction, ServerTransaction

if TYPE_CHECKING:
    from softphone.sip.invite.usage import InviteUsage


class LocalReinvite(LocalModification):
    """A re-INVITE of ours, whose 2xx is acknowledged: by the application if it brought an offer."""

    method = "INVITE"
    _acknowledgment: SuccessAck | None = None

    def response_received(
        self, transaction: ClientTransaction, response: Response, *, now: float
    ) -> None:
        """Take a response to it, or a copy of its 2xx: then the ACK goes out again."""
        if response.success and self._acknowledgment is not None:
            self._acknowledgment.send_ack(now=now)
        else:
            super().response_received(transaction, response, now=now)

    def end_accepted(self, role: BodyRole | None, *, now: float) -> None:
        """ACK the 2xx at once, unless it brought an offer."""
        if role is BodyRole.OFFER:
            self.owes_acknowledgment = True
        else:
            self._send_ack(None, now=now)
            super().end_accepted(role, now=now)

    def acknowledge(self, body: Body | None, *, now: float) -> None:
        """ACK the 2xx that brought an offer, with our answer; without one, the offer is void."""
        self.owes_acknowledgment = False
        if body is None:
            self.leg.offer_answer.apply_input(OfferAnswerInput.FAILED)
        self.leg.note_sent(body)
        self._send_ack(body, now=now)
        self.usage.local_modification = None

    def _send_ack(self, body: Body | None, *, now: float) -> None:
        if self.request is not None:
            self._acknowledgment = SuccessAck(
                self.request, body, dialog=self.leg.dialog, layer=self.usage.layer
            )
            self._acknowledgment.send_ack(now=now)


class RemoteReinvite(RemoteModification):
    """A re-INVITE of the far end: our 2xx is sent again until its ACK comes."""

    def end_accepted(self, response: Response, role: BodyRole | None, *, now: float) -> None:
        """Send it again, in time."""
        SuccessRetransmission(
            response,
            usage=self.usage,
            leg=self.leg,
            to=self.transaction.to,
            offered=role is BodyRole.OFFER,
            now=now,
        )


def reinvite_received(
    usage: InviteUsage, transaction: ServerTransaction, leg: InviteDialog, *, now: float
) -> None:
    """Take a re-INVITE (section 14.2)."""
    if usage.server is not None and not usage.server.answered:
        # The first INVITE has no final response yet.
        refuse_busy(usage, transaction, now=now)
        return
    ours = usage.local_modification
    glare = (
        (isinstance(ours, LocalReinvite) and ours.transaction is not None)
        or usage.state is not InviteState.CONFIRMED
        or leg.offer_answer.state is OfferState.LOCAL_OFFER
    )
    body = session_body(transaction.request, usage.layer)
    RemoteReinvite(usage, transaction, leg).receive(body, glare=glare, now=now)
