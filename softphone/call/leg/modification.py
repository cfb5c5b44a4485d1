"""Session modifications that we start: hold, with or without music, resume, a new offer.

RFC 3261 section 14 (re-INVITE), RFC 3264 section 8.
"""

from __future__ import annotations

import asyncio

from softphone.call.leg.negotiation import Negotiation
from softphone.diagnostics.refusal_text import explain_change
from softphone.errors import CallError, LocalProtocolError, NotAcceptable
from softphone.sdp import MediaDescription
from softphone.sip import Body, InviteUsage, ModificationFailed


def make_result() -> asyncio.Future[None]:
    """Make a future whose exception need not be retrieved: its waiter may have been canceled."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
    return future


def resolve_result(future: asyncio.Future[None], error: CallError | None) -> None:
    """Set the future's result, or `error`, unless it is done or canceled already."""
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


class SessionModification:
    """One change of a leg's session, until `done`.

    `answered` says that the far end has accepted it; its media may still wait.
    """

    def __init__(
        self, negotiation: Negotiation, *, held: bool, relayed: MediaDescription | None = None
    ) -> None:
        """`relayed` is another party's stream, which is offered in the place of ours."""
        self.done = make_result()
        self.answered = False
        self.relayed = relayed
        self._negotiation = negotiation
        self._held_before = negotiation.held
        self._full = negotiation.relayed or (self._held_before and not held)
        negotiation.held = held

    def make_offer(self) -> Body:
        """Make our offer.  Raises CallError, and changes nothing, while an exchange is open."""
        try:
            if self.relayed is not None:
                return self._negotiation.relay_offer(self.relayed)
            return self._negotiation.create_offer(full=self._full)
        except LocalProtocolError as error:
            self._negotiation.held = self._held_before
            raise overtaken() from error

    def fail(self, error: CallError) -> None:
        """Restore the session as it was, and fail `done` with `error`."""
        if self._negotiation.offer_pending:
            self._negotiation.rollback()
        if self.relayed is not None:
            self._negotiation.withdraw_relay()
        self._negotiation.held = self._held_before
        resolve_result(self.done, error)


def overtaken() -> CallError:
    """Make the error for a change that the far end's own has overtaken (491)."""
    message = "another change of the session is under way at the far end; try again"
    return CallError(message, status=491, reason="Request Pending")


def refusal_of(event: ModificationFailed[InviteUsage]) -> CallError:
    """Make the error for a change that the far end has refused."""
    kind = NotAcceptable if event.status in (488, 606, 415) else CallError
    message = explain_change(event.status, event.reason, answered=event.response is not None)
    return kind(message, status=event.status, reason=event.reason)
