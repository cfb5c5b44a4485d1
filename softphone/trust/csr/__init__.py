"""softphone.trust.csr."""

from __future__ import annotations

from softphone.trust.csr.profile import RequestProfile, RequestService, names_for, profile_named
from softphone.trust.csr.request import (
    KeyKind,
    PrivateKey,
    Purpose,
    RequestNames,
    Subject,
    new_key,
    new_request,
    write_key,
)

__all__ = [
    "KeyKind",
    "PrivateKey",
    "Purpose",
    "RequestNames",
    "RequestProfile",
    "RequestService",
    "Subject",
    "names_for",
    "new_key",
    "new_request",
    "profile_named",
    "write_key",
]
