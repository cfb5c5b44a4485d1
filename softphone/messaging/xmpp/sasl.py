"""SASL authentication to a chat server: choice of the mechanism, and a hardened SCRAM.

RFC 4422 (EXTERNAL), RFC 5802 and RFC 7677 (SCRAM, with tls-unique of RFC 5929 where Python supports
it).  PLAIN and DIGEST-MD5 are never used.  SCRAM is slixmpp's, hardened: the nonce comes from our
entropy, the iterations run in OpenSSL and are bounded, and a server that does not prove that it
knows the password is refused.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

from slixmpp.util.sasl import SASLFailed, SASLMutualAuthFailed, saslprep
from slixmpp.util.sasl.mechanisms import EXTERNAL, SCRAM
from slixmpp.util.stringprep_profiles import StringPrepError

from softphone.errors import ConfigurationError
from softphone.sans_io import Entropy

__all__ = ["EXTERNAL", "Scram", "choose_mechanism", "saslprep_bytes"]

LEAST_ITERATIONS, MOST_ITERATIONS = 4096, 1_000_000
"""The bounds of the iteration count: RFC 7677 section 4 has the minimum; a million take 0.5 s."""
_HASHES = ("SHA-512", "SHA-256", "SHA-1")
_FIPS_HASHES = ("SHA-512", "SHA-256")


def choose_mechanism(
    offered: Iterable[str], *, password: bool, certificate: bool, binding: bool, fips: bool
) -> str | None:
    """Return the best mechanism that the server offers and policy allows; None if there is none.

    `password` and `certificate` are whether we have one, `binding` whether this connection has
    channel binding data; `fips` excludes SHA-1.
    """
    there = set(offered)
    wanted = ["EXTERNAL"] if certificate else []
    if password:
        hashes = _FIPS_HASHES if fips else _HASHES
        wanted += [f"SCRAM-{name}-PLUS" for name in hashes] if binding else []
        wanted += [f"SCRAM-{name}" for name in hashes]
    return next((name for name in wanted if name in there), None)


def saslprep_bytes(text: str) -> bytes:
    """Return a user name or password prepared for SCRAM (SASLprep, RFC 4013), in UTF-8.

    Raises ConfigurationError for a prohibited character.
    """
    try:
        return str(saslprep(text)).encode()
    except StringPrepError as exc:
        raise ConfigurationError(f"im: a character that no password may have: {exc}") from exc


class Scram(SCRAM):
    """slixmpp's SCRAM with a strong nonce, PBKDF2 in OpenSSL, and the server's proof required.

    `unproven` is true after the server failed to prove that it knows the password.
    """

    def __init__(
        self,
        name: str,
        credentials: dict[str, bytes],
        security: dict[str, object],
        entropy: Entropy,
    ) -> None:
        self._entropy = entropy
        self.unproven = False
        super().__init__(name, credentials, security)  # type: ignore[no-untyped-call]

    def process(self, challenge: bytes = b"") -> bytes:
        """Return the answer to a challenge.

        Raises SASLMutualAuthFailed when the server does not prove that it knows the password, or
        breaks the protocol; `unproven` is true from then on.
        """
        if self._mutual_auth and not challenge:
            return b""
        try:
            answer: bytes = super().process(challenge)
        except (KeyError, ValueError, IndexError, SASLFailed) as exc:
            self.unproven = True
            raise SASLMutualAuthFailed from exc
        return answer

    def process_1(self, challenge: bytes) -> bytes:
        """Make the first message (RFC 5802 section 5) with a fresh nonce."""
        super().process_1(challenge)
        bare: bytes = self.client_first_message_bare
        self.cnonce = self._entropy(24).hex().encode()
        self.client_first_message_bare = bare[: bare.rindex(b",r=")] + b",r=" + self.cnonce
        self.client_first_message: bytes = self.gs2_header + self.client_first_message_bare
        return self.client_first_message

    def process_2(self, challenge: bytes) -> bytes:
        """Return the client's proof.  Raises ValueError if the server did not extend our nonce."""
        if self.parse(challenge)[b"r"] == self.cnonce:
            raise ValueError("the server adds nothing to the nonce")
        answer: bytes = super().process_2(challenge)
        return answer

    def process_3(self, challenge: bytes) -> bytes:
        """Verify the server's signature; return no bytes."""
        self._mutual_auth = False
        super().process_3(challenge)
        return b""

    def parse(self, challenge: bytes) -> dict[bytes, bytes]:
        """Return the attributes of a message by name; the first of a repeated name counts."""
        found: dict[bytes, bytes] = {}
        for item in challenge.split(b","):
            name, _, value = item.partition(b"=")
            found.setdefault(name, value)
        return found

    def Hi(self, text: str | bytes, salt: bytes, iterations: int) -> bytes:
        """Compute Hi of RFC 5802 section 2.2 by PBKDF2.

        Raises ValueError for fewer than 4096 or more than 1,000,000 iterations.
        """
        if not LEAST_ITERATIONS <= iterations <= MOST_ITERATIONS:
            raise ValueError(f"{iterations} iterations")
        digest = self.hash_name.replace("-", "").lower()
        secret = text.encode() if isinstance(text, str) else text
        return hashlib.pbkdf2_hmac(digest, secret, salt, iterations)

    def HMAC(self, key: bytes, msg: bytes) -> bytes:
        """Compute HMAC with the mechanism's hash."""
        return hmac.digest(key, msg, self.hash_name.replace("-", "").lower())
