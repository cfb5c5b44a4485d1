"""Call-Info's security parameter: what a call server says of a whole call's security.

    Call-Info: <urn:x-cisco-remotecc:callinfo>; security= Encrypted; orientation= to

Names and values are case-insensitive, spaces may surround "=", several values may share one
header field, and entries of other kinds are skipped (RFC 3261 section 20.9 gives the header
field, Cisco's SIP Line Messaging Guide its use).  Whether the server may be believed is decided
above.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from softphone.security import SecurityLevel

__all__ = ["call_security", "security_call_info"]

_URN = "urn:x-cisco-remotecc:callinfo"
_ENTRY = re.compile(r"<([^<>]{0,256})>([^<>]*)")
_SECURITY = re.compile(r";\s*security\s*=\s*\"?\s*([A-Za-z]{1,32})", re.IGNORECASE)
_LEVELS = {
    "notauthenticated": SecurityLevel.NOT_SECURE,
    "authenticated": SecurityLevel.AUTHENTICATED,
    "encrypted": SecurityLevel.ENCRYPTED,
}
_WORDS = {
    SecurityLevel.NOT_SECURE: "NotAuthenticated",
    SecurityLevel.AUTHENTICATED: "Authenticated",
    SecurityLevel.ENCRYPTED: "Encrypted",
    None: "Unknown",
}


def call_security(values: Iterable[str]) -> tuple[bool, SecurityLevel | None]:
    """What Call-Info values say of the call: whether they speak of it at all, and the level.

    `(True, None)` is "Unknown", or a word that we do not know; `(False, None)` is silence.  When
    several entries speak, the lowest of them counts, and an unknown one makes it unknown.
    """
    levels: list[SecurityLevel | None] = []
    for value in values:
        for urn, parameters in _ENTRY.findall(value):
            if urn.strip().lower() != _URN:
                continue
            security = _SECURITY.search(parameters)
            if security is not None:
                levels.append(_LEVELS.get(security[1].lower()))
    known = [level for level in levels if level is not None]
    if not levels:
        return False, None
    if len(known) < len(levels):
        return True, SecurityLevel.NOT_SECURE if SecurityLevel.NOT_SECURE in known else None
    return True, min(known)


def security_call_info(level: SecurityLevel | None, *, orientation: str = "to") -> str:
    """The Call-Info value that says `level` of a call (None: not known yet)."""
    return f"<{_URN}>; security= {_WORDS[level]}; orientation= {orientation}; isVoip"
