"""The server's side of digest authentication (RFC 7616, RFC 8760, RFC 3261 section 22).

`DigestVerifier` makes challenges and judges the credentials of requests.  Its nonces carry their
own time under an HMAC, so that a challenge costs no memory; only nonces in use are remembered, in
a bounded table, against replay.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from softphone.errors import ConfigurationError
from softphone.sans_io import Entropy
from softphone.security import KeyMaterial
from softphone.sip.auth.digest_algorithm import DigestAlgorithm, DigestInput, digest_response, ha1
from softphone.sip.auth.digest_client import DigestRole
from softphone.sip.message import AuthValue, Field, MalformedMessage, Request, parse_uri

_NONCE = re.compile(r"([0-9a-f]{16})([0-9a-f]{24})([0-9a-f]{32})")
_NONCE_COUNT = re.compile(r"[0-9a-fA-F]{8}")
_WINDOW = 64
"""How far a nonce count may lie behind the highest one that was seen."""


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
class DigestVerified:
    """The request was made by this user; `information` goes into the 2xx (rspauth)."""

    username: str
    algorithm: DigestAlgorithm
    information: tuple[Field, ...] = ()


@dataclass(frozen=True, slots=True)
class DigestRefused:
    """Answer with this status and these header fields: 401 or 407 with challenges, or 400."""

    status: int
    reason: str
    headers: tuple[Field, ...] = ()
    stale: bool = False


@dataclass(slots=True)
class _NonceCounts:
    """The counts of one nonce that were used: the highest, and a bit for each one below it."""

    issued: int
    highest: int = 0
    window: int = 0

    def use_count(self, count: int) -> bool:
        """Use a count; False when it was used before or is too old to tell."""
        if count > self.highest:
            shift = min(count - self.highest, _WINDOW)
            self.window = ((self.window << shift) | 1) & ((1 << _WINDOW) - 1)
            self.highest = count
            return True
        bit = 1 << (self.highest - count)
        if self.highest - count >= _WINDOW or self.window & bit:
            return False
        self.window |= bit
        return True


class DigestVerifier:
    """Challenges and verifies for one realm.

    Algorithms that this process cannot calculate (MD5 in FIPS mode) are not offered; the
    constructor raises ConfigurationError when none is left.
    """

    def __init__(self, config: VerifierConfig, *, entropy: Entropy, lookup: SecretLookup) -> None:
        self._config = config
        self._algorithms = tuple(one for one in config.algorithms if one.available)
        if not self._algorithms:
            raise ConfigurationError("no digest algorithm of the realm is available here")
        self._entropy = entropy
        self._lookup = lookup
        self._secret = entropy(32)
        # An unknown user costs the same calculation as a wrong password does.
        self._nobody = KeyMaterial(entropy(16))
        self._uses: OrderedDict[str, _NonceCounts] = OrderedDict()
        self._forgotten = -1

    def challenge(self, *, now: float, stale: bool = False) -> tuple[Field, ...]:
        """The challenge header fields, one for each algorithm, with a fresh nonce."""
        config = self._config
        nonce = self._make_nonce(now)
        fields: list[Field] = []
        for algorithm in self._algorithms:
            parameters = [
                ("realm", config.realm),
                ("nonce", nonce),
                ("algorithm", algorithm.value),
                ("qop", "auth"),
            ]
            if stale:
                parameters.append(("stale", "true"))
            fields.append(
                (config.role.challenge_header, str(AuthValue("Digest", tuple(parameters))))
            )
        return tuple(fields)

    def verify(self, request: Request, *, now: float) -> DigestVerified | DigestRefused:
        """Judge the credentials of a request for this realm.

        Of several, one for each algorithm that was offered, the strongest count and the others
        are not looked at: some clients answer every challenge (RFC 8760 section 2.4 wants one).
        """
        mine = [
            value
            for value in self._config.role.credentials_of(request)
            if value.scheme.lower() == "digest" and value.parameter("realm") == self._config.realm
        ]
        if not mine:
            return self._challenged("credentials are missing", now=now)
        best = max(map(self._strength_of, mine))
        strongest = [value for value in mine if self._strength_of(value) == best]
        if len(strongest) > 1:
            return DigestRefused(400, "Credentials given twice for one realm and algorithm")
        (value,) = strongest
        given = self._read(value, request)
        if isinstance(given, DigestRefused):
            return given
        username = value.parameter("username") or ""
        return self._judge(username, given, value.parameter("response") or "", now=now)

    def _strength_of(self, value: AuthValue) -> int:
        """The strength of the algorithm of some credentials; 0 for one that is not offered."""
        algorithm = _algorithm_of(value)
        return algorithm.strength if algorithm in self._algorithms else 0

    def _judge(
        self, username: str, given: DigestInput, response: str, *, now: float
    ) -> DigestVerified | DigestRefused:
        if given.algorithm not in self._algorithms:
            return self._challenged("the algorithm was not offered", now=now)
        issued = self._issued(given.nonce)
        if issued is None:
            return self._challenged("the nonce is not one of ours", now=now)
        stored = self._stored(username, given.algorithm)
        expected = digest_response(stored or self._stored_nobody(username, given.algorithm), given)
        right = hmac.compare_digest(expected.encode(), response.lower().encode())
        if stored is None or not right:
            return self._challenged("the user name or the password is wrong", now=now)
        # Staleness is said only to somebody who knows the password (RFC 7616 section 3.3).
        if not self._fresh(given, issued, now=now):
            return self._challenged("the nonce is stale, or was used", now=now, stale=True)
        return DigestVerified(username, given.algorithm, self._information(stored, given))

    def _challenged(self, reason: str, *, now: float, stale: bool = False) -> DigestRefused:
        headers = self.challenge(now=now, stale=stale)
        return DigestRefused(self._config.role.status, reason, headers, stale)

    def _read(self, value: AuthValue, request: Request) -> DigestInput | DigestRefused:
        """What the response value was calculated from, or 400 (RFC 7616 section 3.4.6)."""
        algorithm = _algorithm_of(value)
        uri, qop = value.parameter("uri"), value.parameter("qop")
        cnonce = value.parameter("cnonce")
        count = value.parameter("nc") or ""
        if algorithm is None or not uri or value.parameter("username") is None:
            return DigestRefused(400, "Incomplete digest credentials")
        if qop is None and not self._config.legacy:
            return DigestRefused(400, "Digest credentials without qop")
        if qop not in (None, "auth") or (qop and not (cnonce and _NONCE_COUNT.fullmatch(count))):
            return DigestRefused(400, "Malformed digest credentials")
        if not _same_place(uri, request):
            return DigestRefused(400, "The digest uri is not the Request-URI")
        number = int(count, 16) if qop else 1
        nonce = value.parameter("nonce") or ""
        return DigestInput(algorithm, request.method, uri, nonce, cnonce or "", number, qop)

    def _make_nonce(self, now: float) -> str:
        text = f"{int(now * 1000):016x}{self._entropy(12).hex()}"
        return text + self._seal(text)

    def _seal(self, text: str) -> str:
        message = f"{text}:{self._config.realm}".encode()
        return hmac.new(self._secret, message, hashlib.sha256).hexdigest()[:32]

    def _issued(self, nonce: str) -> int | None:
        """When a nonce of ours was made, in milliseconds of `now`; None for any other text."""
        match = _NONCE.fullmatch(nonce)
        if match is None or not hmac.compare_digest(match[3], self._seal(match[1] + match[2])):
            return None
        return int(match[1], 16)

    def _fresh(self, given: DigestInput, issued: int, *, now: float) -> bool:
        if now * 1000 - issued > self._config.nonce_lifetime * 1000:
            return False
        use = self._uses.get(given.nonce)
        if use is None:
            if issued <= self._forgotten:
                return False
            use = self._uses[given.nonce] = _NonceCounts(issued)
            while len(self._uses) > self._config.capacity:
                # What was forgotten could be replayed, were it not stale from now on.
                _, oldest = self._uses.popitem(last=False)
                self._forgotten = max(self._forgotten, oldest.issued)
        return use.use_count(given.nonce_count)

    def _stored(self, username: str, algorithm: DigestAlgorithm) -> str | None:
        secret = self._lookup(username, algorithm)
        if isinstance(secret, StoredHash):
            return secret.value.reveal().decode()
        if secret is None:
            return None
        return ha1(algorithm, username, self._config.realm, secret)

    def _stored_nobody(self, username: str, algorithm: DigestAlgorithm) -> str:
        return ha1(algorithm, username, self._config.realm, self._nobody)

    def _information(self, stored: str, given: DigestInput) -> tuple[Field, ...]:
        """Authentication-Info with rspauth; none without qop.

        The body of the 2xx is not known here, so that qop is "auth" and never "auth-int".
        """
        if given.qop is None:
            return ()
        answer = DigestInput(
            given.algorithm, "", given.uri, given.nonce, given.cnonce, given.nonce_count, "auth"
        )
        parameters = (
            ("rspauth", digest_response(stored, answer)),
            ("cnonce", given.cnonce),
            ("nc", f"{given.nonce_count:08x}"),
            ("qop", "auth"),
        )
        return ((self._config.role.information_header, str(AuthValue("", parameters))),)


def _algorithm_of(value: AuthValue) -> DigestAlgorithm | None:
    name = (value.parameter("algorithm") or "MD5").lower()
    return next((known for known in DigestAlgorithm if known.lower() == name), None)


def _same_place(uri: str, request: Request) -> bool:
    """Whether the digest's uri means the Request-URI (RFC 3261 section 22.4, point 5)."""
    if uri == str(request.uri):
        return True
    try:
        return parse_uri(uri).equivalent(request.uri)
    except MalformedMessage:
        return False
