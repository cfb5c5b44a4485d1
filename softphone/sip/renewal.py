"""A request that waits for new credentials: once, and not for long (RFC 6750 section 3.1).

Whoever keeps the credentials replaces those that a server has refused, which takes time.  Requests
that were refused with them wait meanwhile, each with a `Renewal`.  It fetches nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from softphone.sip.authenticator import AuthenticationRefused, WaitingRoom
from softphone.sip.message import Response
from softphone.sip.transaction_layer import TransactionLayer

__all__ = ["Renewal"]

PATIENCE = 45.0
"""Seconds that new credentials may take; whoever keeps them gives up sooner, and says so."""


class Renewal:
    """The wait of one request, which happens once; equality is identity.

    `again` is called when there are new credentials, `final` when the refusal stands, both with
    the challenge and the time.
    """

    __slots__ = ("_again", "_final", "_layer", "_response", "_room", "_used")

    def __init__(
        self,
        layer: TransactionLayer,
        *,
        again: Callable[[Response, float], None],
        final: Callable[[Response, float], None],
    ) -> None:
        self._layer = layer
        self._again = again
        self._final = final
        self._room: WaitingRoom | None = None
        self._response: Response | None = None
        self._used = False

    @property
    def waiting(self) -> bool:
        """Whether the request waits now."""
        return self._response is not None

    def begin(self, refusal: AuthenticationRefused, response: Response, *, now: float) -> bool:
        """Wait, if new credentials are on the way; False the second time."""
        if self._used or refusal.renewal is None:
            return False
        self._used = True
        self._room, self._response = refusal.renewal, response
        self._room.enter(self)
        self._layer.waiting.add(self)
        self._layer.timers.set((self, "patience"), now + PATIENCE)
        return True

    def renewed(self, *, now: float) -> None:
        """There are new credentials."""
        response = self._take_out()
        if response is not None:
            self._again(response, now)

    def lost(self, *, now: float) -> None:
        """There will be none."""
        response = self._take_out()
        if response is not None:
            self._final(response, now)

    def handle_timer(self, name: object, *, now: float) -> None:
        """It has taken too long."""
        self.lost(now=now)

    def stop(self) -> None:
        """The request is not wanted any more."""
        self._take_out()

    def _take_out(self) -> Response | None:
        if self._room is not None:
            self._room.leave(self)
        self._layer.waiting.discard(self)
        self._layer.timers.cancel((self, "patience"))
        response, self._response = self._response, None
        return response
