"""re-INVITE, sent and received (RFC 3261 section 14).

`modification` has the part common with UPDATE, `ack` the ACK for the 2xx.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from softphone.sip.invite.ack import SuccessAck, SuccessRetransmission
from softphone.sip.invite.invite_dialog import (
    InviteDialog,
    InviteState,
    OfferAnswerInput,
    OfferState,
)
from softphone.sip.invite.modification import LocalModification, RemoteModification, refuse_busy
from softphone.sip.message import Body, BodyRole, Response
from softphone.sip.transaction import ClientTransaction, ServerTransaction

if TYPE_CHECKING:
    from softphone.sip.invite.usage import InviteUsage


class LocalReinvite(LocalModification):
    """A re-INVITE that we send; the application acknowledges a 2xx that brought an offer."""

    method = "INVITE"
    _acknowledgment: SuccessAck | None = None

    def response_received(
        self, transaction: ClientTransaction, response: Response, *, now: float
    ) -> None:
        """Handle a response; send the ACK again for a retransmitted 2xx."""
        if response.success and self._acknowledgment is not None:
            self._acknowledgment.send_ack(now=now)
        else:
            super().response_received(transaction, response, now=now)

    def end_accepted(self, role: BodyRole | None, *, now: float) -> None:
        """ACK the 2xx at once, unless it brought an offer: then wait for `acknowledge`."""
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
    """A re-INVITE that we received."""

    def end_accepted(self, response: Response, role: BodyRole | None, *, now: float) -> None:
        """Retransmit our 2xx until its ACK comes."""
        SuccessRetransmission(
            self.transaction,
            usage=self.usage,
            leg=self.leg,
            offered=role is BodyRole.OFFER,
            now=now,
        )


def reinvite_received(
    usage: InviteUsage, transaction: ServerTransaction, leg: InviteDialog, *, now: float
) -> None:
    """Handle a re-INVITE: 500 before the first final response, 491 on glare (section 14.2)."""
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
    body = transaction.request.find_body(usage.layer.config.session_types)
    RemoteReinvite(usage, transaction, leg).receive(body, glare=glare, now=now)
