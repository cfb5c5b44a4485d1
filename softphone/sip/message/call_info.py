"""The security parameter of Call-Info: the security level that a server states for a call.

    Call-Info: <urn:x-cisco-remotecc:callinfo>; security= Encrypted; orientation= to

Names and values are case-insensitive, spaces may surround "=", several values may share one
header field, and entries of other kinds are skipped (RFC 3261 sections 20.9 and 25.1 give the
header field and its grammar, Cisco's SIP Line Messaging Guide its use).  The caller decides
whether to trust the server.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from softphone.security import SecurityLevel
from softphone.sip.message.grammar import (
    PARAMETERS,
    MalformedMessage,
    repeatable_parameters,
    split_commas,
    unquote,
)

_URN = "urn:x-cisco-remotecc:callinfo"
_INFO = re.compile(rf"<([^<>]*+)>({PARAMETERS})")
_LEVELS = {
    "notauthenticated": SecurityLevel.NOT_SECURE,
    "authenticated": SecurityLevel.AUTHENTICATED,
    "encrypted": SecurityLevel.ENCRYPTED,
}
_WORDS = {
    SecurityLevel.NOT_SECURE: "NotAuthenticated",
    SecurityLevel.AUTHENTICATED: "Authenticated",
    SecurityLevel.ENCRYPTED: "Encrypted",
    SecurityLevel.UNKNOWN: "Unknown",
}


def call_security(values: Iterable[str]) -> tuple[bool, SecurityLevel | None]:
    """Return whether Call-Info `values` state a security level, and which.

    `(True, None)` means "Unknown" or an unknown word; `(False, None)` means that none is stated.
    The lowest level of all header fields, values and parameters counts; an unknown one is lower
    than ENCRYPTED.  A malformed value that contains Cisco's URN counts as "Unknown", since it may
    hide any level.
    """
    levels: list[SecurityLevel | None] = []
    for value in values:
        levels += (_levels_kept if len(value) <= _LONGEST_KEPT else _levels_of)(value)
    known = [level for level in levels if level is not None]
    lowest = min(known, default=None)
    if len(known) < len(levels) and lowest is SecurityLevel.ENCRYPTED:
        lowest = None
    return bool(levels), lowest


def _levels_of(value: str) -> tuple[SecurityLevel | None, ...]:
    """Return the levels that one header field value states; it may hold several entries."""
    levels: list[SecurityLevel | None] = []
    try:
        entries = split_commas(value)
    except MalformedMessage:
        entries = [value]
    for entry in entries:
        info = _INFO.fullmatch(entry)
        if info is None:
            levels += [None] if f"<{_URN}>" in entry.lower() else []
        elif info[1].strip().lower() == _URN:
            levels += [
                _LEVELS.get(unquote(level).strip().lower())
                for name, level in repeatable_parameters(info[2])
                if name.lower() == "security" and level is not None
            ]
    return tuple(levels)


_LONGEST_KEPT = 128
_levels_kept = lru_cache(64)(_levels_of)
"""Keeps what short values state: a server writes the same few into the messages of all calls."""


def security_call_info(level: SecurityLevel | None, *, orientation: str = "to") -> str:
    """Return the Call-Info value that states `level` for a call (None: not known yet)."""
    word = _WORDS[SecurityLevel.UNKNOWN if level is None else level]
    return f"<{_URN}>; security= {word}; orientation= {orientation}; isVoip"
