"""Subscriptions, of either side (RFC 6665), and REFER's implicit one (RFC 3515, RFC 4488)."""

from __future__ import annotations

from enum import Enum

from softphone.sip.body import Body
from softphone.sip.dialog import Dialog
from softphone.sip.message import Request

__all__ = ["ServerSubscription", "Subscription", "SubscriptionState"]


class SubscriptionState(Enum):
    """RFC 6665 figures 1 and 2, without the transient states."""

    NOTIFY_WAIT = "notify_wait"
    PENDING = "pending"
    ACTIVE = "active"
    TERMINATED = "terminated"


class Subscription:
    """A subscription of ours: we are the subscriber.  It refreshes itself."""

    event: str
    """The event package, with parameters, as in Event."""
    state: SubscriptionState
    expires_at: float | None
    dialog: Dialog | None

    def refresh(self, *, now: float) -> None:
        """SUBSCRIBE again at once.  Raises LocalProtocolError once terminated."""

    def unsubscribe(self, *, now: float) -> None:
        """Ask for the end (Expires: 0); SubscriptionTerminated follows."""


class ServerSubscription:
    """Somebody's subscription: we are the notifier.  A REFER that came in has one too."""

    event: str
    state: SubscriptionState
    expires_at: float | None
    request: Request
    dialog: Dialog | None

    def accept(self, *, now: float, expires: float | None = None, pending: bool = False) -> None:
        """Answer 200 (REFER: 202); the first NOTIFY must follow (REFER: 100 Trying goes itself)."""

    def reject(
        self, status: int, *, now: float, reason: str = "", headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        """Answer with a failure; the subscription does not come about."""

    def notify(
        self, body: Body | None, *, now: float, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        """Send the state.  Raises LocalProtocolError unless accepted and alive."""

    def progress(self, status: int, reason: str, *, now: float) -> None:
        """REFER: NOTIFY a sipfrag status line; a final status ends the subscription (3515 2.4.5)."""

    def terminate(
        self, *, now: float, reason: str = "noresource", body: Body | None = None
    ) -> None:
        """Send the last NOTIFY with Subscription-State: terminated."""
