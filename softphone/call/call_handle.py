"""What every handle on a call shows of it, whatever its stage: who, what state, how secure."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Generic, TypeVar

from softphone.call.leg import CallLeg
from softphone.contacts import Contact
from softphone.events import CallEvent, CallState
from softphone.security import SecurityPolicy, SecurityState, Shortfall
from softphone.sip import NameAddr

__all__ = ["CallHandle"]

L = TypeVar("L", bound=CallLeg)


class CallHandle(Generic[L]):
    """A handle on one leg; its subclasses add what their stage of the call allows."""

    def __init__(self, leg: L) -> None:
        self._leg = leg

    @property
    def id(self) -> str:
        """The Call-ID."""
        return "" if self._leg.usage is None else self._leg.usage.call_id

    @property
    def peer(self) -> NameAddr:
        """Who is at the other end, as signaled."""
        return self._leg.peer

    @property
    def contact(self) -> Contact | None:
        """Who that is, as far as directories have said until now; `PeerNamed` tells."""
        return self._leg.peer_name.contact

    @property
    def state(self) -> CallState:
        """The state (RFC 4235)."""
        return self._leg.state

    @property
    def security(self) -> SecurityState:
        """What the call has now; after its end, what it had last."""
        return self._leg.security

    @property
    def inherited_policy(self) -> SecurityPolicy:
        """What a call that comes from this one has to meet, beside its own account's policy."""
        return self._leg.inherited_policy

    @property
    def refused(self) -> tuple[Shortfall, ...]:
        """Why we refused or ended the call on security grounds; () if we did not."""
        return self._leg.refused

    @property
    def explanation(self) -> str:
        """Why the call was refused or failed, as a sentence; "" if it was not."""
        return self._leg.explanation

    def events(self) -> AsyncIterator[CallEvent]:
        """Everything that happens to the call, from its start."""
        return self._leg.event_queue.events()
