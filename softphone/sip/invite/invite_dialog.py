"""One dialog of an INVITE usage, with its offer/answer exchange, and the states of the usage.

Whose turn it is in offer and answer (RFC 3264, RFC 3261 section 13.2.1, RFC 6337) is known from
the state alone: bodies are not looked into.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum

from softphone.sip.dialog import Dialog
from softphone.sip.message import (
    Body,
    BodyRole,
    Field,
    MalformedMessage,
    Request,
    Response,
    find_part,
)
from softphone.sip.transaction import TransactionLayer

HeaderFields = Sequence[Field]


class InviteState(Enum):
    """The states of a call (RFC 4235 section 3.7.1), with CALLING for RFC 3261 figure 5."""

    CALLING = "calling"
    PROCEEDING = "proceeding"
    EARLY = "early"
    CONFIRMED = "confirmed"
    TERMINATED = "terminated"


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


class InviteDialog:
    """One dialog of an INVITE usage, early or confirmed: each fork has one.

    `local_body` is the last session description that we sent, for refreshes that repeat it;
    `last_rseq` the RSeq of the reliable provisional response that was acknowledged last.
    """

    __slots__ = ("dialog", "last_rseq", "local_body", "offer_answer")

    def __init__(self, dialog: Dialog, offer_answer: OfferAnswerExchange) -> None:
        self.dialog = dialog
        self.offer_answer = offer_answer
        self.last_rseq: int | None = None
        self.local_body: Body | None = None

    def note_received(self, body: Body | None) -> BodyRole | None:
        """The role of a session description that came in."""
        return None if body is None else self.offer_answer.apply_input(OfferAnswerInput.RECEIVED)

    def note_sent(self, body: Body | None) -> BodyRole | None:
        """The role of a session description that goes out; it is kept for refreshes."""
        if body is None:
            return None
        self.local_body = body
        return self.offer_answer.apply_input(OfferAnswerInput.SENT)


def session_body(message: Request | Response, layer: TransactionLayer) -> Body | None:
    """The session description in a message, out of a multipart body if need be."""
    content = message.content
    if content is None:
        return None
    try:
        found = (find_part(content, media_type) for media_type in layer.config.session_types)
        return next((body for body in found if body is not None), None)
    except MalformedMessage:
        return None
