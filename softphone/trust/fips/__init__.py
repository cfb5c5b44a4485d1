"""softphone.trust.fips."""

from __future__ import annotations

from softphone.trust.fips.mode import (
    UNAVAILABLE,
    FipsMode,
    FipsModeOrigin,
    FipsRestriction,
    check_allowed,
    decide_mode,
    platform_mode,
    process_environment,
    process_fits,
    random_bytes,
    require_mode,
    set_bootstrap_setting,
)

__all__ = [
    "UNAVAILABLE",
    "FipsMode",
    "FipsModeOrigin",
    "FipsRestriction",
    "check_allowed",
    "decide_mode",
    "platform_mode",
    "process_environment",
    "process_fits",
    "random_bytes",
    "require_mode",
    "set_bootstrap_setting",
]
