"""softphone.sip.auth."""

from __future__ import annotations

from softphone.sip.auth.authenticator import (
    AuthenticationRefused,
    Authenticator,
    CredentialWaitList,
)
from softphone.sip.auth.bearer import (
    LONGEST_TOKEN,
    BearerSession,
    bearer_challenge,
    is_bearer_token,
    presented_token,
)
from softphone.sip.auth.digest_algorithm import DigestAlgorithm
from softphone.sip.auth.digest_client import DigestCredentials, DigestSession

__all__ = [
    "LONGEST_TOKEN",
    "AuthenticationRefused",
    "Authenticator",
    "BearerSession",
    "CredentialWaitList",
    "DigestAlgorithm",
    "DigestCredentials",
    "DigestSession",
    "bearer_challenge",
    "is_bearer_token",
    "presented_token",
]
