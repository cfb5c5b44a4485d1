"""softphone.trust.csr."""

from __future__ import annotations

from softphone.trust.csr.profile import CsrProfile, CsrService, names_for, profile_named
from softphone.trust.csr.request import (
    KeyKind,
    PrivateKey,
    Subject,
    SubjectAltNames,
    TlsPurpose,
    new_key,
    new_request,
    write_key,
)

__all__ = [
    "CsrProfile",
    "CsrService",
    "KeyKind",
    "PrivateKey",
    "Subject",
    "SubjectAltNames",
    "TlsPurpose",
    "names_for",
    "new_key",
    "new_request",
    "profile_named",
    "write_key",
]
