"""The calculation of digest responses, for client and server (RFC 7616 section 3.4, RFC 8760).

Takes text and returns hexadecimal text; messages and header fields are not known here.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from softphone.security import KeyMaterial


class DigestUnavailable(Exception):
    """The hash of an algorithm is not available in this process, such as MD5 in FIPS mode."""


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
        """The rank of the hash, 1 to 3; a greater number is stronger."""
        return {"SHA-512-256": 3, "SHA-256": 2, "MD5": 1}[self.value.removesuffix("-sess")]

    @property
    def available(self) -> bool:
        """Whether this process can calculate the hash."""
        try:
            self.digest(b"")
        except DigestUnavailable:
            return False
        return True

    def digest(self, data: bytes) -> str:
        """Return H(data) in lower-case hex.  Raises DigestUnavailable where the hash is missing."""
        name = {3: "sha512_256", 2: "sha256", 1: "md5"}[self.strength]
        try:
            return hashlib.new(name, data).hexdigest()
        except ValueError as exc:
            raise DigestUnavailable(
                f"the hash of digest algorithm {self.value} is not available in this process; "
                "in FIPS mode MD5 never is"
            ) from exc


@dataclass(frozen=True, slots=True)
class DigestInput:
    """The inputs of one response value (RFC 7616 section 3.4.1).

    `qop` None selects the calculation of RFC 2069; `body` is used with "auth-int" only.
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
    """Return H(username:realm:password), which a server may store (RFC 7616 section 3.4.2).

    Raises DigestUnavailable.
    """
    secret = password.reveal() if len(password) else b""
    return algorithm.digest(f"{username}:{realm}:".encode() + secret)


def digest_response(stored: str, given: DigestInput) -> str:
    """Return the response value of `given` (RFC 7616 section 3.4.1).

    `stored` is the `ha1` of the user.  Raises DigestUnavailable.
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
    return h(f"{stored}:{given.nonce}:{given.nonce_count:08x}:{given.cnonce}:{given.qop}:{h(a2)}")
