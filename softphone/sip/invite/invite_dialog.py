"""A dialog together with its offer/answer exchange: what every fork of an INVITE has of its own."""

from __future__ import annotations

from softphone.sip.dialog import Dialog
from softphone.sip.invite.offer_answer_exchange import OfferAnswerExchange
from softphone.sip.invite.reliable_provisional import ReliableReceiver
from softphone.sip.message import Body

__all__ = ["InviteDialog"]


class InviteDialog:
    """One dialog of an INVITE usage, early or confirmed.

    `local_body` is the last session description that we sent, for refreshes that repeat it.
    """

    __slots__ = ("dialog", "local_body", "offer_answer", "reliable")

    def __init__(self, dialog: Dialog, offer_answer: OfferAnswerExchange) -> None:
        self.dialog = dialog
        self.offer_answer = offer_answer
        self.reliable = ReliableReceiver()
        self.local_body: Body | None = None
