"""UPDATE, sent and received, in early and confirmed dialogs (RFC 3311).

Without an offer it refreshes only the target and the session (RFC 4028 section 9).  `modification`
has the part common with re-INVITE.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from softphone.sip.events import SessionRefreshed
from softphone.sip.invite.invite_dialog import InviteDialog, OfferState
from softphone.sip.invite.modification import LocalModification, RemoteModification
from softphone.sip.message import Body
from softphone.sip.transaction import ServerTransaction

if TYPE_CHECKING:
    from softphone.sip.invite.usage import InviteUsage


class LocalUpdate(LocalModification):
    """An UPDATE that we send."""

    method = "UPDATE"


class RemoteUpdate(RemoteModification):
    """An UPDATE that we received."""

    def report(self, body: Body | None, *, now: float) -> None:
        """Report an offer to the application; without one answer 200 and report the refresh."""
        if body is not None:
            super().report(body, now=now)
            return
        self.answer(None, now=now)
        self.usage.emit_event(SessionRefreshed(self.usage, False, self.transaction.request))


def update_received(
    usage: InviteUsage, transaction: ServerTransaction, leg: InviteDialog, *, now: float
) -> None:
    """Handle an UPDATE (section 5.2); an offer while ours is open is glare."""
    body = transaction.request.find_body(usage.layer.config.session_types)
    glare = body is not None and leg.offer_answer.state is OfferState.LOCAL_OFFER
    RemoteUpdate(usage, transaction, leg).receive(body, glare=glare, now=now)
