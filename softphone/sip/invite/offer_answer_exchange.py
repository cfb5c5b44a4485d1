"""Whose turn it is in the offer/answer exchange (RFC 3264, RFC 3261 section 13.2.1, RFC 6337).

Bodies are not looked into: the state alone says whether the next one is an offer or an answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from softphone.sip.message import BodyRole

__all__ = ["OfferAnswerExchange", "OfferAnswerInput", "OfferState"]


class OfferState(Enum):
    """Where the exchange stands."""

    STABLE = "stable"
    LOCAL_OFFER = "we have offered"
    REMOTE_OFFER = "the far end has offered"


class OfferAnswerInput(Enum):
    """What happens to a session description, or to the message that carried one."""

    SENT = "sent"
    RECEIVED = "received"
    FAILED = "failed"


_TABLE: Mapping[tuple[OfferState, OfferAnswerInput], tuple[BodyRole | None, OfferState]] = {
    (OfferState.STABLE, OfferAnswerInput.SENT): (BodyRole.OFFER, OfferState.LOCAL_OFFER),
    (OfferState.STABLE, OfferAnswerInput.RECEIVED): (BodyRole.OFFER, OfferState.REMOTE_OFFER),
    (OfferState.STABLE, OfferAnswerInput.FAILED): (None, OfferState.STABLE),
    (OfferState.LOCAL_OFFER, OfferAnswerInput.SENT): (None, OfferState.LOCAL_OFFER),
    (OfferState.LOCAL_OFFER, OfferAnswerInput.RECEIVED): (BodyRole.ANSWER, OfferState.STABLE),
    (OfferState.LOCAL_OFFER, OfferAnswerInput.FAILED): (None, OfferState.STABLE),
    (OfferState.REMOTE_OFFER, OfferAnswerInput.SENT): (BodyRole.ANSWER, OfferState.STABLE),
    (OfferState.REMOTE_OFFER, OfferAnswerInput.RECEIVED): (None, OfferState.REMOTE_OFFER),
    (OfferState.REMOTE_OFFER, OfferAnswerInput.FAILED): (None, OfferState.STABLE),
}


class OfferAnswerExchange:
    """The exchange of one dialog."""

    __slots__ = ("state",)

    def __init__(self, state: OfferState = OfferState.STABLE) -> None:
        self.state = state

    @property
    def stable(self) -> bool:
        """Whether no offer is open."""
        return self.state is OfferState.STABLE

    def apply_input(self, step: OfferAnswerInput) -> BodyRole | None:
        """The role of the session description that was sent or received; None: it has none."""
        role, self.state = _TABLE[self.state, step]
        return role
