"""Whose challenges an account answers, and what it has learned of its servers' realms.

A challenge is text that anybody on the way of a request can write: a callee knows the realm of the
registrar, and whoever gets an answer to a nonce of his own may guess the password at leisure.  So
one is answered only

* from the account's own server, its registrar or outbound proxy,
* before any provisional response but 100: what rings is a phone, and a phone knows no password,
* in a realm that the account lists, or that this server has used on REGISTER, over a transport that
  was as safe.  REGISTER itself goes to the registrar and nowhere else.

RFC 3261 section 22, RFC 7616 section 5 (chosen plaintext, downgrade), RFC 8760 section 4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from softphone.sans_io import Flow, Target, Transport
from softphone.sip.auth.digest_algorithm import DigestAlgorithm

ServerLookup: TypeAlias = Callable[[Flow | Target], str | None]
"""The name of the account's own server that a flow or target leads to; None: somebody else's."""

MAXIMUM_REALMS = 32
"""Realms that are remembered; a further one counts as unknown."""


@dataclass(slots=True)
class _KnownRealm:
    """What one server has accepted in one realm.

    `registered` says that it was used on REGISTER, `verified` that this was over verified TLS.
    """

    registered: bool = False
    verified: bool = False
    strongest: DigestAlgorithm | None = None


def is_verified(place: Flow | Target | None) -> bool:
    """Whether what goes there goes over TLS to a verified peer."""
    if isinstance(place, Target):
        return place.transport is Transport.TLS
    return place is not None and place.identity is not None


def shown_realm(realm: str) -> str:
    """A realm for a sentence: it is the peer's text, so it is quoted and cut."""
    return f"realm {realm[:64]!r}"


class ChallengePolicy:
    """The one judge of challenges of one account; it lives as long as the account does."""

    def __init__(self, server_of: ServerLookup) -> None:
        self._server_of = server_of
        self._realms: dict[tuple[str, str], _KnownRealm] = {}

    def server_of(self, place: Flow | Target | None) -> str | None:
        """The name of the account's own server at `place`; None where there is none."""
        return None if place is None else self._server_of(place)

    def why_refused(
        self, realm: str, *, method: str, flow: Flow | None, alerted: bool, listed: bool
    ) -> str | None:
        """Why a challenge in `realm` that came on `flow` is not answered; None: it may be.

        `alerted` says that a 18x (or 199) came before it, `listed` that the account lists `realm`.
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
        """The strongest algorithm that the server at `flow` has accepted in `realm`."""
        known = self._realms.get((self.server_of(flow) or "", realm))
        return None if known is None else known.strongest

    def note_success(
        self, realm: str, *, method: str, flow: Flow | None, algorithm: DigestAlgorithm | None
    ) -> None:
        """Take note of a 2xx to a request with credentials for `realm`; None: a token."""
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
        """The strongest algorithm that was accepted in each realm."""
        return {
            realm: known.strongest
            for (_, realm), known in self._realms.items()
            if known.strongest is not None
        }
