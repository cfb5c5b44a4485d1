"""The digest server (RFC 7616, RFC 8760, RFC 3261 section 22).

`DigestVerifier` makes challenges and verifies the credentials of requests.  A nonce holds its own
time under an HMAC, so that a challenge needs no memory.  Only nonces in use are stored, in a
bounded table, to detect replay.
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
"""How far a nonce count may lie behind the highest one seen: less than this."""


@dataclass(frozen=True, slots=True)
class StoredHash:
    """The HA1 of a user for one algorithm, in hex, stored instead of a password."""

    value: KeyMaterial


SecretLookup: TypeAlias = Callable[[str, DigestAlgorithm], KeyMaterial | StoredHash | None]
"""Returns the password or stored hash of a user for an algorithm; None for an unknown user."""


@dataclass(frozen=True, slots=True)
class VerifierConfig:
    """The configuration of a verifier for one realm.

    `algorithms` are offered in this order, one header field each (RFC 8760 section 2.3).  A nonce
    is stale after `nonce_lifetime` seconds.  At most `capacity` nonces in use are stored.
    `legacy` accepts credentials without qop (RFC 2069), each nonce once.  `any_uri` accepts a uri
    in them that is not the Request-URI: a proxy may have changed that (RFC 3261 section 22.4).
    """

    realm: str
    algorithms: tuple[DigestAlgorithm, ...] = (DigestAlgorithm.SHA_256, DigestAlgorithm.MD5)
    role: DigestRole = DigestRole.USER_AGENT
    nonce_lifetime: float = 300.0
    capacity: int = 10_000
    legacy: bool = False
    any_uri: bool = False


@dataclass(frozen=True, slots=True)
class DigestVerified:
    """The user of a verified request; `information` is the header field for the 2xx (rspauth)."""

    username: str
    algorithm: DigestAlgorithm
    information: tuple[Field, ...] = ()


@dataclass(frozen=True, slots=True)
class DigestRefused:
    """The response to a request that is not verified: 401 or 407 with challenges, or 400."""

    status: int
    reason: str
    headers: tuple[Field, ...] = ()
    stale: bool = False


@dataclass(slots=True)
class _NonceCounts:
    """The used counts of one nonce: the highest, and a bit for each of the last `_WINDOW`.

    `issued` is the time of the nonce in milliseconds.
    """

    issued: int
    highest: int = 0
    window: int = 0

    def use_count(self, count: int) -> bool:
        """Mark a count as used; False when it was used before or is older than the window."""
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
    """Makes challenges and verifies credentials for one realm.

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
        """Return the challenge header fields, one for each algorithm, with a fresh nonce."""
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
        """Verify the credentials of a request for this realm.

        Of several, only those with the strongest algorithm are read: some clients answer every
        challenge, although RFC 8760 section 2.4 asks for one.  Refuses with 400 when two have it.
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
        """Return the strength of the algorithm of credentials; 0 for one that is not offered."""
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
        # Only a client that knows the password learns that a nonce is stale (RFC 7616 3.3).
        if not self._fresh(given, issued, now=now):
            return self._challenged("the nonce is stale, or was used", now=now, stale=True)
        return DigestVerified(username, given.algorithm, self._information(stored, given))

    def _challenged(self, reason: str, *, now: float, stale: bool = False) -> DigestRefused:
        headers = self.challenge(now=now, stale=stale)
        return DigestRefused(self._config.role.status, reason, headers, stale)

    def _read(self, value: AuthValue, request: Request) -> DigestInput | DigestRefused:
        """Return the inputs of the response value, or a 400 (RFC 7616 section 3.4.6)."""
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
        if not self._config.any_uri and not _same_place(uri, request):
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
        """Return when a nonce of ours was made, in milliseconds of `now`; None for other text."""
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
                # A nonce without stored counts could be replayed, so it is stale from now on, and
                # so is every unused one that is not newer.
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
        """Return Authentication-Info with rspauth; () without qop.

        The body of the 2xx is not known here, so qop is "auth", never "auth-int".
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
    """Whether the digest's uri is equivalent to the Request-URI (RFC 3261 section 22.4, 5)."""
    if uri == str(request.uri):
        return True
    try:
        return parse_uri(uri).equivalent(request.uri)
    except MalformedMessage:
        return False
