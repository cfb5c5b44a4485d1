"""Limits of a call that is up: its longest duration, and the longest absence of media."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

GUARD_STATUS = 408
"""The cause in the Reason of our BYE: Q.850 counts it as recovery on timer expiry (RFC 3398)."""


class OnMediaTimeout(StrEnum):
    """The reaction when no media arrives from the far end: `REPORT` it only, or hang up as well."""

    REPORT = "report"
    HANGUP = "hangup"


@dataclass(frozen=True, slots=True)
class CallGuards:
    """The guards of a call, in seconds; 0 is without limit.

    `media_timeout` counts from the answer, while both ends send: not while it rings, nor on hold.
    `maximum_duration` counts from the answer.
    """

    media_timeout: float = 30.0
    on_media_timeout: OnMediaTimeout = OnMediaTimeout.REPORT
    maximum_duration: float = 0.0

    def bounded(self, seconds: float) -> CallGuards:
        """Return these guards for a call that lasts at most `seconds`; 0 is without limit."""
        if not seconds or 0 < self.maximum_duration <= seconds:
            return self
        return replace(self, maximum_duration=seconds)


DEFAULT_GUARDS = CallGuards()
