"""Answers to digest challenges where a scenario says `[authentication]`.

The scenario names the place, and the peer that a call began with is its only server: a challenge
from there is answered in any realm unless realms are listed, one from elsewhere never.  Algorithms
follow the account's policy: MD5 without verified TLS only where it is listed (RFC 8760,
`softphone.sip.auth`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from softphone.load.sipp.received import is_same_peer
from softphone.sans_io import Entropy, Flow, Target
from softphone.security import KeyMaterial
from softphone.sip.auth import (
    AuthenticationRefused,
    ChallengePolicy,
    DigestCredentials,
    DigestSession,
)
from softphone.sip.message import AuthValue, MalformedMessage, Request, Response

_ROLES = (("WWW-Authenticate", "Authorization"), ("Proxy-Authenticate", "Proxy-Authorization"))


@dataclass(frozen=True, slots=True)
class ChallengeAnswers:
    """Answers challenges with `credentials`, or with those that a keyword names."""

    credentials: DigestCredentials | None
    entropy: Entropy
    fips: bool = False

    def answer(
        self,
        request: Request,
        response: Response,
        *,
        flow: Flow,
        server: Flow,
        username: str | None = None,
        password: str | None = None,
    ) -> str | AuthenticationRefused:
        """Return the header fields that answer a challenge, as lines.

        The challenge came by `flow`, and is answered only if that leads to the peer of `server`.
        """
        credentials = self._chosen(username, password)
        if credentials is None:
            return AuthenticationRefused(
                "the account has no password for [authentication]: give it [credentials], or say"
                " --username and --password-file"
            )
        if not credentials.realms:
            credentials = replace(credentials, realms=_realms(response))
        session = DigestSession(
            [credentials],
            entropy=self.entropy,
            policy=ChallengePolicy(lambda place: _name_of(server, place)),
            fips=self.fips,
        )
        answered = session.authorize(request, response, flow=flow)
        if isinstance(answered, AuthenticationRefused):
            return answered
        return "\r\n".join(
            f"{name}: {value}" for _, name in _ROLES for value in answered.headers.get_all(name)
        )

    def _chosen(self, username: str | None, password: str | None) -> DigestCredentials | None:
        given = self.credentials
        if password is not None:
            secret = KeyMaterial(password.encode("utf-8", "surrogateescape"))
            name = username or (given.username if given is not None else "")
            algorithms = None if given is None else given.algorithms
            return DigestCredentials(name, secret, (), algorithms, "the scenario")
        if given is not None and username is not None:
            return replace(given, username=username)
        return given


def _name_of(server: Flow, place: Flow | Target) -> str | None:
    """The name of the server if `place` is a flow to it, else None."""
    known = isinstance(place, Flow) and is_same_peer(place, server)
    return server.remote[0] if known else None


def _realms(response: Response) -> tuple[str, ...]:
    found: list[str] = []
    for name, _ in _ROLES:
        for text in response.headers.get_all(name)[:8]:
            try:
                realm = AuthValue.parse(text).parameter("realm")
            except MalformedMessage:
                continue
            if realm is not None:
                found.append(realm)
    return tuple(found)
