"""The server's side of digest authentication (RFC 7616, RFC 8760, RFC 3261 section 22).

`DigestVerifier` makes challenges and judges the credentials of requests.  Its nonces carry their
own time under an HMAC, so that a challenge costs no memory; only nonces in use are remembered, in
a bounded table, against replay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from softphone.machine import Entropy
from softphone.security import KeyMaterial
from softphone.sip.digest import DigestAlgorithm, DigestRole
from softphone.sip.headers import Field
from softphone.sip.message import Request

__all__ = ["DigestVerifier", "StoredHash", "Unverified", "Verified", "VerifierConfig"]


@dataclass(frozen=True, slots=True)
class StoredHash:
    """The HA1 of a user for one algorithm, in hex: what a server keeps instead of a password."""

    value: KeyMaterial


SecretLookup: TypeAlias = Callable[[str, DigestAlgorithm], KeyMaterial | StoredHash | None]
"""The password, or the stored hash, of a user for an algorithm; None for an unknown user."""


@dataclass(frozen=True, slots=True)
class VerifierConfig:
    """`algorithms` are offered in this order, one header field each (RFC 8760 section 2.3).

    A nonce is stale after `nonce_lifetime` seconds.  `capacity` nonces in use are remembered.
    `legacy` accepts answers without qop (RFC 2069), each nonce once.
    """

    realm: str
    algorithms: tuple[DigestAlgorithm, ...] = (DigestAlgorithm.SHA_256, DigestAlgorithm.MD5)
    role: DigestRole = DigestRole.USER_AGENT
    nonce_lifetime: float = 300.0
    capacity: int = 10_000
    legacy: bool = False


@dataclass(frozen=True, slots=True)
class Verified:
    """The request was made by this user; `information` goes into the 2xx (rspauth)."""

    username: str
    algorithm: DigestAlgorithm
    information: tuple[Field, ...] = ()


@dataclass(frozen=True, slots=True)
class Unverified:
    """Answer with this status and these header fields: 401 or 407 with challenges, or 400."""

    status: int
    reason: str
    headers: tuple[Field, ...] = ()
    stale: bool = False


class DigestVerifier:
    """Challenges and verifies for one realm."""

    def __init__(
        self, config: VerifierConfig, *, entropy: Entropy, lookup: SecretLookup
    ) -> None: ...

    def challenge(self, *, now: float, stale: bool = False) -> tuple[Field, ...]:
        """The challenge header fields, one for each algorithm, with a fresh nonce."""

    def verify(self, request: Request, *, now: float) -> Verified | Unverified:
        """Judge the credentials of a request for this realm."""
