"""A request that waits for new credentials: once, and not for long (RFC 6750 section 3.1).

Whoever keeps the credentials replaces those that a server has refused, which takes time.  Requests
that were refused with them wait meanwhile, each with a `Renewal`.  It fetches nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from softphone.sip.auth import AuthenticationRefused, WaitingRoom
from softphone.sip.message import Response
from softphone.sip.transaction.layer import TransactionLayer

__all__ = ["Renewal"]

PATIENCE = 45.0
"""Seconds that new credentials may take; whoever keeps them gives up sooner, and says so."""

Then: TypeAlias = Callable[[Response, float], None]


class _Waits(NamedTuple):
    """The challenge, and what may follow."""

    response: Response
    again: Then
    final: Then


class Renewal:
    """The wait of one request, which happens once; equality is identity.

    It knows its request only while that waits: the two are no ring that stays when both are over.
    """

    __slots__ = ("_layer", "_room", "_used", "_waits")

    def __init__(self, layer: TransactionLayer) -> None:
        self._layer = layer
        self._room: WaitingRoom | None = None
        self._waits: _Waits | None = None
        self._used = False

    @property
    def waiting(self) -> bool:
        """Whether the request waits now."""
        return self._waits is not None

    def begin(
        self,
        refusal: AuthenticationRefused,
        response: Response,
        *,
        again: Then,
        final: Then,
        now: float,
    ) -> bool:
        """Wait, if new credentials are on the way; False the second time.

        `again` is called when there are new credentials, `final` when the refusal stands, both
        with the challenge and the time.
        """
        if self._used or refusal.renewal is None:
            return False
        self._used = True
        self._room, self._waits = refusal.renewal, _Waits(response, again, final)
        self._room.enter(self)
        self._layer.waiting.add(self)
        self._layer.timers.set((self, "patience"), now + PATIENCE)
        return True

    def renewed(self, *, now: float) -> None:
        """There are new credentials."""
        waits = self._take_out()
        if waits is not None:
            waits.again(waits.response, now)

    def lost(self, *, now: float) -> None:
        """There will be none."""
        waits = self._take_out()
        if waits is not None:
            waits.final(waits.response, now)

    def handle_timer(self, name: object, *, now: float) -> None:
        """It has taken too long."""
        self.lost(now=now)

    def stop(self) -> None:
        """The request is not wanted any more."""
        self._take_out()

    def _take_out(self) -> _Waits | None:
        if self._room is not None:
            self._room.leave(self)
        self._layer.waiting.discard(self)
        self._layer.timers.cancel((self, "patience"))
        waits, self._waits = self._waits, None
        return waits
