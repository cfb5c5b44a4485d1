"""FIPS mode: whether this process runs in it, who decided so, and what is then forbidden.

It makes the set-up of OpenSSL's FIPS provider, starts processes with it, makes keys within it and
checks it.  It implements no cryptography and is no validated module.  Loading the provider comes
first of all, in `softphone.openssl_provider`; the SRTP backend for this mode is in
`softphone.srtp`.  `self_check` and `setup` are imported from their own modules: only the command
line and processes in FIPS mode need them.

No standard is implemented here: FIPS 140 concerns OpenSSL's provider, not this code.
"""

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
