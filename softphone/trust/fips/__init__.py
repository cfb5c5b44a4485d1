"""softphone.trust.fips."""

from __future__ import annotations

from softphone.trust.fips.mode import (
    UNAVAILABLE,
    Capability,
    Decider,
    FipsMode,
    check_allowed,
    decide,
    environment,
    fits,
    platform_mode,
    random_bytes,
    require,
    settle,
)

__all__ = [
    "UNAVAILABLE",
    "Capability",
    "Decider",
    "FipsMode",
    "check_allowed",
    "decide",
    "environment",
    "fits",
    "platform_mode",
    "random_bytes",
    "require",
    "settle",
]
