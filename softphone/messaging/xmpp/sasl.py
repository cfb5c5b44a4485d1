"""SASL authentication to a chat server: choice of the mechanism, and the mechanisms.

RFC 4422 (EXTERNAL), RFC 5802 and RFC 7677 (SCRAM, with tls-unique of RFC 5929 where Python supports
it), RFC 7628 (OAUTHBEARER), RFC 4616 (PLAIN), and CISCO-VTG-TOKEN, which sends a one-time password
and is described by no standard.  DIGEST-MD5 is never used.  SCRAM is slixmpp's, hardened: the nonce
comes from our entropy, the iterations run in OpenSSL and are bounded, and a server that does not
prove that it knows the password is refused.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from slixmpp.util.sasl import SASLFailed, SASLMutualAuthFailed, saslprep
from slixmpp.util.sasl.client import Mech, SASLCancelled
from slixmpp.util.sasl.mechanisms import EXTERNAL, SCRAM
from slixmpp.util.stringprep_profiles import StringPrepError

from softphone.errors import ConfigurationError
from softphone.sans_io import Entropy
from softphone.security import KeyMaterial

__all__ = [
    "CISCO_VTG_TOKEN",
    "EXTERNAL",
    "OAUTHBEARER",
    "PLAIN",
    "OAuthBearer",
    "OneMessage",
    "Scram",
    "SignInMeans",
    "choose_mechanism",
    "oauth_bearer_message",
    "plain_message",
    "saslprep_bytes",
    "vtg_token_message",
]

PLAIN, OAUTHBEARER, CISCO_VTG_TOKEN = "PLAIN", "OAUTHBEARER", "CISCO-VTG-TOKEN"

LEAST_ITERATIONS, MOST_ITERATIONS = 4096, 1_000_000
"""The bounds of the iteration count: RFC 7677 section 4 has the minimum; a million take 0.5 s."""
_HASHES = ("SHA-512", "SHA-256", "SHA-1")
_FIPS_HASHES = ("SHA-512", "SHA-256")
_LONGEST_ERROR = 4096
_STATUS = re.compile(r"[A-Za-z0-9_]{1,40}")


@dataclass(frozen=True, slots=True)
class SignInMeans:
    """The credentials that we have, and what policy allows.

    `verified` is whether the server was verified and TLS is in force, `binding` whether this
    connection has channel binding data; `fips` excludes SHA-1.  `token` is whether there is a
    source of bearer tokens, `one_time_password` whether there is one of one-time passwords, and
    `plain` whether the password itself may be sent to the server.
    """

    verified: bool
    password: bool = False
    certificate: bool = False
    binding: bool = False
    fips: bool = False
    token: bool = False
    one_time_password: bool = False
    plain: bool = False


def choose_mechanism(
    offered: Iterable[str], means: SignInMeans, attempted: Collection[str] = ()
) -> str | None:
    """Return the strongest mechanism that the server offers and policy allows; None for none.

    In this order: EXTERNAL, which sends nothing that could be used again; SCRAM, which proves that
    both sides know the password; OAUTHBEARER, which sends a token; CISCO-VTG-TOKEN, which sends a
    one-time password; PLAIN, which sends the password.  After any other was `attempted`, PLAIN is
    not used: a server could refuse the others in order to get the password.
    """
    if not means.verified:
        return None
    there = set(offered) - set(attempted)
    wanted = ["EXTERNAL"] if means.certificate else []
    if means.password:
        hashes = _FIPS_HASHES if means.fips else _HASHES
        wanted += [f"SCRAM-{name}-PLUS" for name in hashes] if means.binding else []
        wanted += [f"SCRAM-{name}" for name in hashes]
    wanted += [OAUTHBEARER] if means.token else []
    wanted += [CISCO_VTG_TOKEN] if means.one_time_password else []
    wanted += [PLAIN] if means.password and means.plain and not attempted else []
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
        except (KeyError, ValueError, IndexError, SASLFailed, SASLCancelled) as exc:
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


class OneMessage(Mech):
    """A mechanism that is one message of the client: PLAIN and CISCO-VTG-TOKEN.

    The message is wiped once it has been returned; a challenge gets an empty answer.
    """

    def __init__(self, name: str, message: KeyMaterial) -> None:
        super().__init__(name, {}, {})  # type: ignore[no-untyped-call]
        self._message = message

    def process(self, challenge: bytes = b"") -> bytes:
        """Return the message, the first time."""
        if not len(self._message):
            return b""
        message = self._message.reveal()
        self._message.close()
        return message


class OAuthBearer(OneMessage):
    """OAUTHBEARER: `status` is what the server's error challenge says (RFC 7628 section 3.2.2)."""

    status = ""

    def process(self, challenge: bytes = b"") -> bytes:
        """Return the message; for an error challenge the octet 0x01 (RFC 7628 section 3.2.3)."""
        message = super().process(challenge)
        if message:
            return message
        if challenge:
            self.status = _error_status(challenge)
        return b"\x01"


def plain_message(user: str, password: KeyMaterial) -> KeyMaterial:
    """Make the message of PLAIN; the user has no domain, and the authorization identity is empty.

    Raises ConfigurationError for a character that no password may have.
    """
    text = password.reveal().decode("utf-8", "replace")
    return KeyMaterial(b"\0" + saslprep_bytes(user) + b"\0" + saslprep_bytes(text))


def vtg_token_message(jid: str, one_time_password: KeyMaterial) -> KeyMaterial:
    """Make the message of CISCO-VTG-TOKEN for a bare JID."""
    return KeyMaterial(b"userid=" + jid.encode() + b"\0token=" + one_time_password.reveal())


def oauth_bearer_message(jid: str, host: str, port: int, token: KeyMaterial) -> KeyMaterial:
    """Make the message of OAUTHBEARER (RFC 7628 section 3.1) for a bare JID."""
    # RFC 5801 section 4: a comma and an equals sign of the name are escaped.
    name = jid.replace("=", "=3D").replace(",", "=2C")
    head = f"n,a={name},\x01host={host}\x01port={port}\x01auth=Bearer ".encode()
    return KeyMaterial(head + token.reveal() + b"\x01\x01")


def _error_status(challenge: bytes) -> str:
    """Return the status of an error challenge; "" if it has none that can be shown."""
    if len(challenge) > _LONGEST_ERROR:
        return ""
    try:
        status = json.loads(challenge, parse_int=str, parse_float=str)["status"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""
    return status if isinstance(status, str) and _STATUS.fullmatch(status) else ""
