"""Bearer tokens in SIP: the answer to `Proxy-Authenticate: Bearer` (RFC 8898, Cisco SIP OAuth).

    Proxy-Authorization: Bearer token="eyJ..."

RFC 8898 writes the token bare, CUCM writes a quoted parameter; `quoted` selects the form.
`BearerSession` is the client; `presented_token` and `bearer_challenge` serve a server.  Tokens are
neither fetched nor validated here.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from softphone.sans_io import Flow, Target
from softphone.security import KeyMaterial
from softphone.sip.auth.authenticator import (
    CHALLENGES,
    AuthenticationRefused,
    CredentialWaitList,
)
from softphone.sip.auth.challenge_policy import ChallengePolicy
from softphone.sip.auth.digest_client import DigestRole
from softphone.sip.message import AuthValue, MalformedMessage, Request, Response

FetchBearer: TypeAlias = Callable[[bool], Awaitable[KeyMaterial]]
"""`await fetch(refused)` returns a bearer token; `refused` says that the last one was refused."""
LONGEST_TOKEN = 16 * 1024
_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
MAXIMUM_CHALLENGES = 16
"""The number of header fields of a kind that are read from one message."""


def is_bearer_token(text: str) -> bool:
    """Whether `text` is a b64token (RFC 6750 section 2.1) of at most `LONGEST_TOKEN` characters."""
    return len(text) <= LONGEST_TOKEN and _TOKEN.fullmatch(text) is not None


def bearer_challenge(realm: str) -> tuple[str, str]:
    """Return the header field of a 407 that asks for a token."""
    return "Proxy-Authenticate", f'Bearer realm="{realm}"'


def presented_token(request: Request) -> str | None:
    """Return the token that a request carries in Proxy-Authorization, or None."""
    for value in request.proxy_authorizations[:MAXIMUM_CHALLENGES]:
        if value.scheme.lower() == "bearer":
            return value.parameter("token") or value.token68
    return None


class BearerSession:
    """The bearer token of one user agent; an `Authenticator`.

    A challenge to a request that carried the current token refuses the token: `token_refused` is
    set until `replace_token`, and `on_refused` is called to get a new token.  Meanwhile requests
    wait, until `retry_waiting_requests` or `fail_waiting_requests`.

    `authorization_server` is where our tokens come from: a challenge that names another one gets
    none (RFC 8898 section 2.1.1).
    """

    answers = CHALLENGES

    def __init__(
        self,
        token: KeyMaterial | None = None,
        *,
        policy: ChallengePolicy,
        quoted: bool = True,
        authorization_server: str | None = None,
        on_refused: Callable[[], None] | None = None,
    ) -> None:
        self._token = token
        self._policy = policy
        self._quoted = quoted
        self._authorization_server = authorization_server
        self._on_refused = on_refused
        self._asked: dict[DigestRole, list[str]] = {}
        self._wait_list = CredentialWaitList()
        self.refusal: AuthenticationRefused | None = None
        """Why the latest challenge was not answered; None when it was."""
        self.token_refused = False

    def __repr__(self) -> str:
        return f"<BearerSession {'with' if self._token is not None else 'without'} a token>"

    def replace_token(self, token: KeyMaterial) -> None:
        """Use another token from now on and wipe the old one."""
        before, self._token = self._token, token
        self.token_refused = False
        self.refusal = None
        if before is not None and before is not token:
            before.close()

    @property
    def has_waiting_requests(self) -> bool:
        """Whether requests are waiting for another token."""
        return len(self._wait_list) > 0

    def retry_waiting_requests(self, *, now: float) -> None:
        """Send the waiting requests again, with the current token."""
        self._wait_list.retry_all(now=now)

    def fail_waiting_requests(self, reason: str, *, now: float) -> None:
        """Fail the waiting requests, since there is no other token; `reason` says why."""
        self.refusal = AuthenticationRefused(reason)
        self._wait_list.fail_all(now=now)

    def authorize(
        self, request: Request, response: Response, *, flow: Flow | None, alerted: bool = False
    ) -> Request | AuthenticationRefused:
        """Return the request with the token, for a Bearer challenge in a 401 or 407.

        Refuses when there is no Bearer challenge, when `ChallengePolicy` forbids the answer, and
        when there is no token or the server has refused it.
        """
        found = self._authorize(request, response, flow, alerted)
        self.refusal = found if isinstance(found, AuthenticationRefused) else None
        return found

    def _authorize(
        self, request: Request, response: Response, flow: Flow | None, alerted: bool
    ) -> Request | AuthenticationRefused:
        offered = {role: _realms(response, role) for role in DigestRole}
        roles = [role for role in DigestRole if offered[role]]
        if not roles:
            return AuthenticationRefused(f"the {response.status} holds no Bearer challenge")
        for role in roles:
            for realm in offered[role]:
                reason = self._policy.why_refused(
                    realm, method=request.method, flow=flow, alerted=alerted, listed=False
                )
                if reason is not None:
                    return AuthenticationRefused(reason)
        if self._token is None:
            return AuthenticationRefused("the server asks for a token, and there is none")
        if not self._knows_servers(response, roles):
            return AuthenticationRefused("the server asks for another authorization server's token")
        if self.token_refused or any(self._carried(request, role) for role in roles):
            self.token_refused = True
            return self._refused()
        for role in roles:
            self._asked[role] = offered[role]
        return self._with_token(request, roles)

    def _knows_servers(self, response: Response, roles: list[DigestRole]) -> bool:
        """Whether the challenges name no authorization server but ours, where that is known."""
        if self._authorization_server is None:
            return True
        named = (
            value.parameter("authz_server")
            for role in roles
            for value in _bearer_challenges(response, role)
        )
        return all(each in (None, self._authorization_server) for each in named)

    def _refused(self) -> AuthenticationRefused:
        reason = "the server did not accept the token"
        if self._on_refused is None:
            return AuthenticationRefused(reason)
        self._on_refused()
        return AuthenticationRefused(reason, self._wait_list)

    def preauthorize(self, request: Request, *, to: Flow | Target) -> Request:
        """Return a new request with the token, if the account's own server has asked for it.

        ACK and CANCEL stay unchanged, and so does a request while the token is refused.
        """
        if request.method in ("ACK", "CANCEL") or self._token is None or self.token_refused:
            return request
        if self._policy.server_of(to) is None:
            return request
        return self._with_token(request, [role for role in DigestRole if role in self._asked])

    def note_accepted(self, request: Request, response: Response, *, flow: Flow | None) -> None:
        """Record the realms that accepted the token, for a 2xx `response`."""
        if not response.success:
            return
        for role, realms in self._asked.items():
            for realm in realms if self._carried(request, role) else ():
                self._policy.note_success(realm, method=request.method, flow=flow, algorithm=None)

    def _with_token(self, request: Request, roles: list[DigestRole]) -> Request:
        for role in roles:
            request = request.with_header(role.credentials_header, self._credentials())
        return request

    def _credentials(self) -> str:
        token = "" if self._token is None else self._token.reveal().decode("ascii")
        return f'Bearer token="{token}"' if self._quoted else f"Bearer {token}"

    def _carried(self, request: Request, role: DigestRole) -> bool:
        """Whether a request carried the current token, not an earlier one."""
        return self._credentials() in request.headers.get_all(role.credentials_header)


def _realms(response: Response, role: DigestRole) -> list[str]:
    """Return the realms of the Bearer challenges; "" for one that names none."""
    return [value.parameter("realm") or "" for value in _bearer_challenges(response, role)]


def _bearer_challenges(response: Response, role: DigestRole) -> list[AuthValue]:
    found = []
    for text in response.headers.get_all(role.challenge_header)[:MAXIMUM_CHALLENGES]:
        try:
            value = AuthValue.parse(text)
        except MalformedMessage:
            continue
        if value.scheme.lower() == "bearer":
            found.append(value)
    return found
