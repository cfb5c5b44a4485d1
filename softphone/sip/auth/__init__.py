"""SIP authentication: digest client and server, bearer tokens, and a policy for challenges.

Header fields are parsed in `softphone.sip.message`, tokens are fetched by `softphone.account`, TLS
certificates are verified in `softphone.trust`.  Tokens are not validated here.  Import
`digest_server` from its own module: only the servers of `softphone.lab` need it.

RFC 3261 section 22, RFC 7616 and RFC 8760 (digest with MD5, SHA-256 and SHA-512-256; no userhash,
no Basic), RFC 8898 and Cisco's SIP OAuth mode (Bearer).
"""

from __future__ import annotations

from softphone.sip.auth.authenticator import (
    AuthenticationRefused,
    Authenticator,
    CredentialWaitList,
)
from softphone.sip.auth.bearer import (
    LONGEST_TOKEN,
    BearerSession,
    FetchBearer,
    bearer_challenge,
    is_bearer_token,
    presented_token,
)
from softphone.sip.auth.challenge_policy import ChallengePolicy, ServerLookup
from softphone.sip.auth.digest_algorithm import DigestAlgorithm
from softphone.sip.auth.digest_client import DigestCredentials, DigestSession

__all__ = [
    "LONGEST_TOKEN",
    "AuthenticationRefused",
    "Authenticator",
    "BearerSession",
    "ChallengePolicy",
    "CredentialWaitList",
    "DigestAlgorithm",
    "DigestCredentials",
    "DigestSession",
    "FetchBearer",
    "ServerLookup",
    "bearer_challenge",
    "is_bearer_token",
    "presented_token",
]
