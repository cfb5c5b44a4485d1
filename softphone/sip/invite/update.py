"""UPDATE, ours and the far end's, before the answer to the INVITE and after it (RFC 3311).

Without an offer it refreshes target and session only (RFC 4028 section 9).  What it has in common
with re-INVITE is in `modification`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from softphone.sip.events import SessionRefreshed
from softphone.sip.invite.invite_dialog import InviteDialog, OfferState, session_body
from softphone.sip.invite.modification import LocalModification, RemoteModification
from softphone.sip.message import Body
from softphone.sip.transaction import ServerTransaction

if TYPE_CHECKING:
    from softphone.sip.invite.usage import InviteUsage


class LocalUpdate(LocalModification):
    """An UPDATE of ours."""

    method = "UPDATE"


class RemoteUpdate(RemoteModification):
    """An UPDATE of the far end."""

    def report(self, body: Body | None, *, now: float) -> None:
        """Tell the application; without an offer, answer at once."""
        if body is not None:
            super().report(body, now=now)
            return
        self.answer(None, now=now)
        self.usage.emit_event(SessionRefreshed(self.usage, False, self.transaction.request))


def update_received(
    usage: InviteUsage, transaction: ServerTransaction, leg: InviteDialog, *, now: float
) -> None:
    """Take an UPDATE (section 5.2)."""
    body = session_body(transaction.request, usage.layer)
    glare = body is not None and leg.offer_answer.state is OfferState.LOCAL_OFFER
    RemoteUpdate(usage, transaction, leg).receive(body, glare=glare, now=now)
