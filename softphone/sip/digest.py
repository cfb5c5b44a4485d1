"""Digest authentication, the arithmetic and the client's side of it (RFC 7616, 8760, 3261 22).

`digest_response` is the calculation that both sides share; `Challenge` is one challenge as
received; `DigestSession` answers the challenges of 401 and 407 responses for one user agent and
remembers its nonces.  The server's side is `softphone.sip.digest_verifier`.  There is no userhash
here (RFC 8760 does not bring it to SIP) and no Basic scheme (RFC 3261 section 22.1 forbids it).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum

from softphone.machine import Entropy
from softphone.security import KeyMaterial
from softphone.sip.grammar import MalformedMessage
from softphone.sip.header_values import AuthValue
from softphone.sip.message import Request, Response

__all__ = [
    "AuthenticationRefused",
    "Challenge",
    "Credentials",
    "DigestAlgorithm",
    "DigestInput",
    "DigestRole",
    "DigestSession",
    "DigestUnavailable",
    "digest_response",
    "ha1",
]

MAXIMUM_CHALLENGES = 16
"""Challenges of one response that are looked at; a response with more is not honest."""
MAXIMUM_REALMS = 32
"""Realms whose nonces one session remembers."""
MAXIMUM_ROUNDS = 4
"""Challenges in a row that one request (by Call-ID and method) answers without a success."""
MAXIMUM_TRACKED = 256
"""Requests whose rounds are counted at once."""


class DigestUnavailable(Exception):
    """The hash that an algorithm needs is not to be had here (MD5 in FIPS mode, for one)."""


class DigestAlgorithm(StrEnum):
    """The algorithms of RFC 7616 section 6.1, by their registered names, strongest first."""

    SHA_512_256 = "SHA-512-256"
    SHA_512_256_SESS = "SHA-512-256-sess"
    SHA_256 = "SHA-256"
    SHA_256_SESS = "SHA-256-sess"
    MD5 = "MD5"
    MD5_SESS = "MD5-sess"

    @property
    def session(self) -> bool:
        """Whether A1 is bound to the first nonce and cnonce (RFC 7616 section 3.4.2)."""
        return self.value.endswith("-sess")

    @property
    def strength(self) -> int:
        """The rank of the hash, a greater number for a stronger one."""
        return {"SHA-512-256": 3, "SHA-256": 2, "MD5": 1}[self.value.removesuffix("-sess")]

    def digest(self, data: bytes) -> str:
        """H(data) in lower-case hex.  Raises DigestUnavailable where the hash is forbidden."""
        name = {3: "sha512_256", 2: "sha256", 1: "md5"}[self.strength]
        try:
            return hashlib.new(name, data).hexdigest()
        except ValueError as exc:
            raise DigestUnavailable(
                f"the hash of digest algorithm {self.value} is not available in this process; "
                "in FIPS mode MD5 never is"
            ) from exc


class DigestRole(Enum):
    """Who challenges: the header names of RFC 3261 section 22.2 and 22.3."""

    USER_AGENT = ("WWW-Authenticate", "Authorization", "Authentication-Info", 401)
    PROXY = ("Proxy-Authenticate", "Proxy-Authorization", "Proxy-Authentication-Info", 407)

    @property
    def challenge_header(self) -> str:
        """The header field that carries the challenge."""
        return self.value[0]

    @property
    def credentials_header(self) -> str:
        """The header field that carries the answer."""
        return self.value[1]

    @property
    def information_header(self) -> str:
        """The header field that carries nextnonce and rspauth."""
        return self.value[2]

    @property
    def status(self) -> int:
        """The status code of the challenge."""
        return self.value[3]


@dataclass(frozen=True, slots=True)
class Credentials:
    """What one user answers challenges with.

    `realm` None answers any realm; `algorithms` is what may be answered at all (local policy of
    RFC 8760 section 2.4), the strongest that is offered is taken.  The password is UTF-8.
    """

    username: str
    password: KeyMaterial
    realm: str | None = None
    algorithms: tuple[DigestAlgorithm, ...] = tuple(DigestAlgorithm)


@dataclass(frozen=True, slots=True)
class AuthenticationRefused:
    """Why a challenge is not answered: one sentence for the user, never with a secret."""

    reason: str


@dataclass(frozen=True, slots=True)
class DigestInput:
    """What goes into one response value (RFC 7616 section 3.4.1).

    `qop` None is the calculation of RFC 2069; `body` counts with "auth-int" only.
    """

    algorithm: DigestAlgorithm
    method: str
    uri: str
    nonce: str
    cnonce: str = ""
    nonce_count: int = 1
    qop: str | None = "auth"
    body: bytes = b""


def ha1(algorithm: DigestAlgorithm, username: str, realm: str, password: KeyMaterial) -> str:
    """H(username:realm:password), the hash that a server may store (RFC 7616 section 3.4.2).

    Raises DigestUnavailable.
    """
    secret = password.reveal() if len(password) else b""
    return algorithm.digest(f"{username}:{realm}:".encode() + secret)


def digest_response(stored: str, given: DigestInput) -> str:
    """The response value (RFC 7616 section 3.4.1) of `given`; `stored` is the `ha1` of the user.

    Raises DigestUnavailable.
    """

    def h(text: str) -> str:
        return given.algorithm.digest(text.encode())

    if given.algorithm.session:
        stored = h(f"{stored}:{given.nonce}:{given.cnonce}")
    a2 = f"{given.method}:{given.uri}"
    if given.qop == "auth-int":
        a2 += ":" + given.algorithm.digest(given.body)
    if given.qop is None:
        return h(f"{stored}:{given.nonce}:{h(a2)}")
    return h(
        f"{stored}:{given.nonce}:{given.nonce_count:08x}:{given.cnonce}:{given.qop}:{h(a2)}"
    )


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge as received (RFC 7616 section 3.3).

    `algorithm` is None for one that we do not know; `qop` is empty where the parameter is missing
    (RFC 2069); `domain` is not kept, SIP ignores it.
    """

    realm: str
    nonce: str
    algorithm: DigestAlgorithm | None = DigestAlgorithm.MD5
    qop: tuple[str, ...] = ()
    opaque: str | None = None
    stale: bool = False

    @classmethod
    def parse(cls, text: str) -> Challenge | None:
        """Read one header field value; None when it is not a well-formed Digest challenge."""
        try:
            value = AuthValue.parse(text)
        except MalformedMessage:
            return None
        realm, nonce = value.parameter("realm"), value.parameter("nonce")
        if value.scheme.lower() != "digest" or realm is None or not nonce:
            return None
        name = (value.parameter("algorithm") or "MD5").lower()
        options = (value.parameter("qop") or "").lower().split(",")
        return cls(
            realm=realm,
            nonce=nonce,
            algorithm=next((known for known in DigestAlgorithm if known.lower() == name), None),
            qop=tuple(option.strip() for option in options if option.strip()),
            opaque=value.parameter("opaque"),
            stale=(value.parameter("stale") or "").lower() == "true",
        )

    @property
    def chosen_qop(self) -> str | None:
        """The qop that we answer with: "auth", else "auth-int", None for RFC 2069."""
        return next((option for option in ("auth", "auth-int") if option in self.qop), None)

    @property
    def answerable(self) -> bool:
        """Whether algorithm and qop are ones that we can calculate."""
        return self.algorithm is not None and (not self.qop or self.chosen_qop is not None)


# The client -------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Nonce:
    """A nonce in use: how often it was counted, and the cnonce that goes with it."""

    challenge: Challenge
    credentials: Credentials
    cnonce: str
    count: int = 0


class DigestSession:
    """The digest state of one user agent: nonces by realm, answers, and the bound on loops.

    One session serves every request of an endpoint.  `fips` refuses MD5 whatever the credentials
    allow.  A request that is sent again needs a new CSeq number and a new branch: those are the
    caller's (RFC 3261 section 22.2).
    """

    def __init__(
        self, credentials: Iterable[Credentials] = (), *, entropy: Entropy, fips: bool = False
    ) -> None:
        self._credentials = tuple(credentials)
        self._entropy = entropy
        self._fips = fips
        self._nonces: OrderedDict[tuple[DigestRole, str], _Nonce] = OrderedDict()
        self._rounds: OrderedDict[tuple[str, str], int] = OrderedDict()

    def authorize(self, request: Request, response: Response) -> Request | AuthenticationRefused:
        """The request again, with credentials for every challenge of a 401 or 407 `response`.

        `request` is the one that was answered, with the credentials that it carried.  Refused
        when no challenge can be answered under the policy, when credentials for the same realm
        were just rejected, or after four rounds.
        """

    def prepare(self, request: Request) -> Request:
        """A new request with credentials for the realms that are known, to save a round trip.

        Proxy realms go on every request but ACK and CANCEL; those of user agents only where the
        To URI is one that was challenged before (RFC 3261 section 22.3).
        """

    def confirm(self, request: Request, response: Response) -> None:
        """Take note that `request` got another answer than 401 or 407, and of its nextnonce.

        A nextnonce counts only in a 2xx whose rspauth, if any, is right (RFC 7616 section 3.5).
        """
