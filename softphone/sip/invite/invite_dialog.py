"""One dialog of an INVITE usage with its offer/answer state, and the states of the usage.

The state alone tells an offer from an answer (RFC 3264, RFC 3261 section 13.2.1, RFC 6337); bodies
are not parsed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum, StrEnum

from softphone.sip.dialog import Dialog
from softphone.sip.message import Body, BodyRole, Field

HeaderFields = Sequence[Field]


class InviteState(Enum):
    """The states of a call: those of RFC 4235 section 3.7.1, CALLING from RFC 3261 figure 5."""

    CALLING = "calling"
    PROCEEDING = "proceeding"
    EARLY = "early"
    CONFIRMED = "confirmed"
    TERMINATED = "terminated"


class OfferState(StrEnum):
    """The state of an offer/answer exchange."""

    STABLE = "stable"
    LOCAL_OFFER = "we have offered"
    REMOTE_OFFER = "the far end has offered"


class OfferAnswerInput(StrEnum):
    """The input of the exchange: a session description is sent or received, or it fails."""

    SENT = "sent"
    RECEIVED = "received"
    FAILED = "failed"


OFFER_ANSWER: Mapping[tuple[OfferState, OfferAnswerInput], tuple[BodyRole | None, OfferState]] = {
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
    """The offer/answer state machine of one dialog."""

    __slots__ = ("state",)

    def __init__(self, state: OfferState = OfferState.STABLE) -> None:
        self.state = state

    @property
    def stable(self) -> bool:
        """Whether no offer is open."""
        return self.state is OfferState.STABLE

    def apply_input(self, step: OfferAnswerInput) -> BodyRole | None:
        """Advance the state; return the role of the session description, None if it has none."""
        role, self.state = OFFER_ANSWER[self.state, step]
        return role


class InviteDialog:
    """One dialog of an INVITE usage, early or confirmed; each fork has one.

    `local_body` is the last session description that we sent, for refreshes that repeat it.
    `last_rseq` is the RSeq of the last reliable provisional response accepted, None before any.
    """

    __slots__ = ("dialog", "last_rseq", "local_body", "offer_answer")

    def __init__(self, dialog: Dialog, offer_answer: OfferAnswerExchange) -> None:
        self.dialog = dialog
        self.offer_answer = offer_answer
        self.last_rseq: int | None = None
        self.local_body: Body | None = None

    def note_received(self, body: Body | None) -> BodyRole | None:
        """Note a received session description and return its role; None without one."""
        return None if body is None else self.offer_answer.apply_input(OfferAnswerInput.RECEIVED)

    def note_sent(self, body: Body | None) -> BodyRole | None:
        """Note a session description that is sent, keep it for refreshes, return its role."""
        if body is None:
            return None
        self.local_body = body
        return self.offer_answer.apply_input(OfferAnswerInput.SENT)
