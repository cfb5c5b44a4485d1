"""FIPS mode: whether this process runs in it, which setting decided that, and what it forbids.

The package sets up OpenSSL's FIPS provider, prepares the environment of processes that use it,
makes keys with it and checks it.  It implements no cryptography and is no validated module.
`softphone.openssl_provider` loads the provider before anything else; the SRTP backend for this
mode is in `softphone.srtp`.  Import `self_check` and `setup` from their own modules: only the
command line and processes in FIPS mode need them.

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
