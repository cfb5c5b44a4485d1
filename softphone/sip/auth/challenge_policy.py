"""Decides which challenges an account answers, and remembers the realms of its servers.

Any host on the path of a request can write a challenge: a callee knows the realm of the registrar,
and an answer to a nonce of the attacker's choice allows an offline guess of the password.  So a
challenge is answered only

* from the account's own server, its registrar or outbound proxy,
* before any provisional response but 100: after ringing it may come from the callee, not from the
  server,
* in a realm that the account lists, or that this server has used on REGISTER, over a transport at
  least as safe.  A REGISTER is answered in any realm: it goes to the registrar only.

RFC 3261 section 22, RFC 7616 section 5 (chosen plaintext, downgrade), RFC 8760 section 4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from softphone.sans_io import Flow, Target, Transport
from softphone.sip.auth.digest_algorithm import DigestAlgorithm

ServerLookup: TypeAlias = Callable[[Flow | Target], str | None]
"""Returns the name of the account's own server at a flow or target; None for any other host."""

MAXIMUM_REALMS = 32
"""The number of realms remembered by one account; a further one counts as unknown."""


@dataclass(slots=True)
class _KnownRealm:
    """The credentials that one server has accepted in one realm.

    `registered` says that the realm was used on REGISTER, `verified` that this was over verified
    TLS; `strongest` is the strongest digest algorithm accepted, None with tokens only.
    """

    registered: bool = False
    verified: bool = False
    strongest: DigestAlgorithm | None = None


def is_verified(place: Flow | Target | None) -> bool:
    """Whether messages to `place` go over TLS to a verified peer."""
    if isinstance(place, Target):
        return place.transport is Transport.TLS
    return place is not None and place.identity is not None


def shown_realm(realm: str) -> str:
    """Return a realm for a message to the user: quoted and cut to 64 characters.

    The realm is the peer's text and may hold anything.
    """
    return f"realm {realm[:64]!r}"


class ChallengePolicy:
    """Decides for one account which challenges are answered; lives as long as the account."""

    def __init__(self, server_of: ServerLookup) -> None:
        self._server_of = server_of
        self._realms: dict[tuple[str, str], _KnownRealm] = {}

    def server_of(self, place: Flow | Target | None) -> str | None:
        """Return the name of the account's own server at `place`, or None."""
        return None if place is None else self._server_of(place)

    def why_refused(
        self, realm: str, *, method: str, flow: Flow | None, alerted: bool, listed: bool
    ) -> str | None:
        """Return why a challenge in `realm` on `flow` is not answered; None when it may be.

        `alerted` says that a provisional response other than 100 preceded the challenge, `listed`
        that the account lists `realm`.
        """
        server = self.server_of(flow)
        if server is None:
            return "a challenge is answered only to the account's own server, and this is none"
        if alerted:
            return "a challenge that follows ringing is not the server's: it is not answered"
        if listed or method == "REGISTER":
            return None
        known = self._realms.get((server, realm))
        if known is not None and known.registered and (known.verified or not is_verified(flow)):
            return None
        return f"{shown_realm(realm)} is none that {server} has used to register the account"

    def strongest(self, realm: str, flow: Flow | None) -> DigestAlgorithm | None:
        """Return the strongest algorithm that the server at `flow` accepted in `realm`, or None."""
        known = self._realms.get((self.server_of(flow) or "", realm))
        return None if known is None else known.strongest

    def note_success(
        self, realm: str, *, method: str, flow: Flow | None, algorithm: DigestAlgorithm | None
    ) -> None:
        """Record a 2xx to a request with credentials for `realm`.

        `algorithm` is None for a bearer token.
        """
        server = self.server_of(flow)
        if server is None:
            return
        known = self._realms.get((server, realm))
        if known is None:
            if len(self._realms) >= MAXIMUM_REALMS:
                return
            known = self._realms[server, realm] = _KnownRealm()
        if method == "REGISTER":
            known.registered = True
            known.verified = known.verified or is_verified(flow)
        if algorithm is not None and (
            known.strongest is None or algorithm.strength > known.strongest.strength
        ):
            known.strongest = algorithm

    @property
    def algorithms(self) -> Mapping[str, DigestAlgorithm]:
        """The strongest algorithm accepted in each realm."""
        return {
            realm: known.strongest
            for (_, realm), known in self._realms.items()
            if known.strongest is not None
        }
