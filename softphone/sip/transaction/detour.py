"""A request's way round places that do not serve it (RFC 3263 section 4.3, RFC 3261 21.5.4).

A place fails a request by 503, by no response at all, or by a connection that breaks.  The
request then goes to the next place as a transaction of its own.  It sends nothing.
"""

from __future__ import annotations

from softphone.sans_io import Target
from softphone.sip.message import Response
from softphone.sip.transport import Failover

__all__ = ["STRAIGHT", "Detour"]


class Detour:
    """The places of one request; the failover, which is its server's, is shared with others."""

    __slots__ = ("_failover", "_tried")

    def __init__(self, failover: Failover | None) -> None:
        self._failover = failover
        self._tried: tuple[Target, ...] = ()

    def after(
        self, place: Target | None, *, now: float, response: Response | None = None
    ) -> Target | None:
        """The next place when `place` did not serve the request; None: there is none left.

        `response` is what came from it, None for silence or a broken connection.
        """
        if self._failover is None or (response is not None and response.status != 503):
            return None
        if place is not None:
            wait = None if response is None else response.retry_after
            self._failover.failed(place, now=now, retry_after=0.0 if wait is None else wait.delta)
            self._tried = (*self._tried, place)
        following = self._failover.choose(now=now)
        return None if following in self._tried else following

    def served(self, place: Target | None) -> None:
        """`place` has taken the request: it is the one to stay with."""
        if self._failover is not None and place is not None:
            self._failover.succeeded(place)


STRAIGHT = Detour(None)
"""That of a request which has nowhere else to go, or has arrived: it remembers nothing."""
