"""What the parts of an INVITE usage know of the usage that they are part of."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Protocol
from weakref import ref

from softphone.errors import LocalProtocolError
from softphone.sans_io import Flow, Target
from softphone.sip.auth import Authenticator
from softphone.sip.events import Cause
from softphone.sip.invite.invite_dialog import InviteDialog
from softphone.sip.invite.offer_answer_exchange import OfferAnswerExchange, OfferAnswerInput
from softphone.sip.invite.session_timer import SessionTimer
from softphone.sip.message import (
    Body,
    BodyRole,
    Field,
    MalformedMessage,
    NameAddr,
    Request,
    Response,
    find_part,
)
from softphone.sip.transaction import TransactionLayer

__all__ = [
    "HeaderFields",
    "InviteContext",
    "InvitePart",
    "InviteState",
    "note_received_body",
    "note_sent_body",
    "session_body",
]

HeaderFields = Sequence[Field]


class InviteState(Enum):
    """The states of a call (RFC 4235 section 3.7.1), with CALLING for RFC 3261 figure 5."""

    CALLING = "calling"
    PROCEEDING = "proceeding"
    EARLY = "early"
    CONFIRMED = "confirmed"
    TERMINATED = "terminated"


class InviteContext(Protocol):
    """The usage, as its parts see it."""

    layer: TransactionLayer
    credentials: Authenticator | None
    contact: NameAddr | None
    session_timer: SessionTimer
    state: InviteState
    leg: InviteDialog | None

    def emit_event(self, event: object) -> None:
        """Queue an event of this usage."""

    def refresh_fields(self, to: Flow | Target) -> list[Field]:
        """Contact, Allow, Supported and the like, of a target refresh request or its 2xx."""

    def enter_early_dialog(self, leg: InviteDialog) -> None:
        """A dialog has come about before the answer."""

    def confirm_dialog(self, leg: InviteDialog, *, now: float) -> None:
        """The INVITE was answered 2xx on this leg; the others are gone."""

    def end_usage(
        self,
        cause: Cause,
        *,
        now: float,
        status: int = 0,
        reason: str = "",
        request: Request | None = None,
    ) -> None:
        """The usage is over; InviteEnded is reported."""

    def end_without_event(self, *, now: float) -> None:
        """The usage is over before it began; the event is the caller's."""

    def send_bye(self, leg: InviteDialog, *, now: float, headers: HeaderFields = ()) -> None:
        """Send BYE on a leg and see it through in the background."""


class InvitePart:
    """A part of a usage that lives as long as the usage, which it knows and does not keep.

    Else the two were a ring, and each call that has ended would stay until a collector comes by.
    What must not lose the usage, an INVITE under way, keeps it and is let go at the end instead.
    """

    def __init__(self, context: InviteContext) -> None:
        self._usage = ref(context)

    @property
    def _context(self) -> InviteContext:
        """The usage.  Raises LocalProtocolError once it is gone."""
        context = self._usage()
        if context is None:
            raise LocalProtocolError("the call is over")
        return context


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


def note_received_body(offer_answer: OfferAnswerExchange, body: Body | None) -> BodyRole | None:
    """The role of a session description that came in."""
    return None if body is None else offer_answer.apply_input(OfferAnswerInput.RECEIVED)


def note_sent_body(leg: InviteDialog, body: Body | None) -> BodyRole | None:
    """The role of a session description that goes out; it is kept for refreshes."""
    if body is None:
        return None
    leg.local_body = body
    return leg.offer_answer.apply_input(OfferAnswerInput.SENT)
