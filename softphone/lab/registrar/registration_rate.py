"""A registration storm is let in by a token bucket: who comes too early hears when to come back.

A connection (or UDP address) that was let in is not asked again, so that challenges, refreshes
and the ends of registrations are never in the way.  RFC 3261 section 21.5.4 (503, Retry-After).
"""

from __future__ import annotations

import math
from collections import OrderedDict

from softphone.rate_limit import TokenBucket
from softphone.sans_io import Flow

__all__ = ["RegistrationRateLimit"]

REMEMBERED = 8192
"""Flows that were let in and are remembered; the oldest are forgotten and have to ask again."""
LONGEST = 60


class RegistrationRateLimit:
    """Lets `rate` new flows a second register, and `burst` at once."""

    def __init__(self, *, rate: float, burst: float) -> None:
        self._bucket = TokenBucket(rate=rate, burst=burst)
        self._admitted: OrderedDict[Flow, None] = OrderedDict()
        self._turned_away = 0

    def retry_after(self, flow: Flow, *, now: float) -> int:
        """0 when `flow` may register, else the seconds after which to try again.

        They grow with the number that was turned away, so that the devices come back spread out.
        """
        if flow in self._admitted:
            self._admitted.move_to_end(flow)
            return 0
        if not self._bucket.admit(now=now):
            self._turned_away += 1
            return min(LONGEST, math.ceil(self._turned_away / self._bucket.rate))
        self._turned_away = max(0, self._turned_away - 1)
        self._admitted[flow] = None
        if len(self._admitted) > REMEMBERED:
            self._admitted.popitem(last=False)
        return 0
