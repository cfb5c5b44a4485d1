"""Bearer tokens in SIP: the answer to `Proxy-Authenticate: Bearer` (RFC 8898, Cisco SIP OAuth).

    Proxy-Authorization: Bearer token="eyJ..."

RFC 8898 writes the token bare, CUCM as a quoted parameter; `quoted` chooses.  `BearerSession`
answers, `presented_token` and `bearer_challenge` are the server's side.  Nothing here fetches a
token or judges one.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from softphone.sans_io import Flow, Target
from softphone.security import KeyMaterial
from softphone.sip.auth.authenticator import AuthenticationRefused, CredentialWaitList
from softphone.sip.auth.challenge_policy import ChallengePolicy
from softphone.sip.auth.digest_client import DigestRole
from softphone.sip.message import AuthValue, MalformedMessage, Request, Response

LONGEST_TOKEN = 16 * 1024
_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
MAXIMUM_CHALLENGES = 16
"""Challenges of one response that are looked at."""


def is_bearer_token(text: str) -> bool:
    """Whether a text can be a token (b64token of RFC 6750 section 2.1)."""
    return len(text) <= LONGEST_TOKEN and _TOKEN.fullmatch(text) is not None


def bearer_challenge(realm: str) -> tuple[str, str]:
    """The header field of a 407 that asks for a token."""
    return "Proxy-Authenticate", f'Bearer realm="{realm}"'


def presented_token(request: Request) -> str | None:
    """The token that a request carries in Proxy-Authorization; None when there is none."""
    for value in request.proxy_authorizations[:MAXIMUM_CHALLENGES]:
        if value.scheme.lower() == "bearer":
            return value.parameter("token") or value.token68
    return None


class BearerSession:
    """The token of one user agent; `replace_token` puts a new one in its place.

    A server that challenges a request which carried the present token has refused it:
    `token_refused` then stays true until there is another, and `on_refused` is called.  Whoever
    listens to that gets another one: requests wait for it meanwhile, until `retry_waiting_requests`
    or `fail_waiting_requests`.
    """

    def __init__(
        self,
        token: KeyMaterial | None = None,
        *,
        policy: ChallengePolicy,
        quoted: bool = True,
        on_refused: Callable[[], None] | None = None,
    ) -> None:
        self._token = token
        self._policy = policy
        self._quoted = quoted
        self._on_refused = on_refused
        self._asked: dict[DigestRole, list[str]] = {}
        self._wait_list = CredentialWaitList()
        self.refusal: AuthenticationRefused | None = None
        """Why the latest challenge was not answered; None when it was."""
        self.token_refused = False

    def __repr__(self) -> str:
        return f"<BearerSession {'with' if self._token is not None else 'without'} a token>"

    def replace_token(self, token: KeyMaterial) -> None:
        """Use another token from now on; the old one is wiped."""
        before, self._token = self._token, token
        self.token_refused = False
        self.refusal = None
        if before is not None and before is not token:
            before.close()

    @property
    def has_waiting_requests(self) -> bool:
        """Whether requests wait for another token."""
        return len(self._wait_list) > 0

    def retry_waiting_requests(self, *, now: float) -> None:
        """Send those that have waited again, with the token that there is now."""
        self._wait_list.retry_all(now=now)

    def fail_waiting_requests(self, reason: str, *, now: float) -> None:
        """Say that there is no other token, and why: those that have waited have failed."""
        self.refusal = AuthenticationRefused(reason)
        self._wait_list.fail_all(now=now)

    def authorize(
        self, request: Request, response: Response, *, flow: Flow | None, alerted: bool = False
    ) -> Request | AuthenticationRefused:
        """The request again with the token, for a Bearer challenge in a 401 or 407.

        Refused where `ChallengePolicy` does not let the challenge be answered.
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
        if self.token_refused or any(self._carried(request, role) for role in roles):
            self.token_refused = True
            return self._refused()
        for role in roles:
            self._asked[role] = offered[role]
        return self._with_token(request, roles)

    def _refused(self) -> AuthenticationRefused:
        reason = "the server did not accept the token"
        if self._on_refused is None:
            return AuthenticationRefused(reason)
        self._on_refused()
        return AuthenticationRefused(reason, self._wait_list)

    def preauthorize(self, request: Request, *, to: Flow | Target) -> Request:
        """A new request with the token where the account's own server has asked for it before."""
        if request.method in ("ACK", "CANCEL") or self._token is None or self.token_refused:
            return request
        if self._policy.server_of(to) is None:
            return request
        return self._with_token(request, [role for role in DigestRole if role in self._asked])

    def note_accepted(self, request: Request, response: Response, *, flow: Flow | None) -> None:
        """Take note of the realms in which a token was taken."""
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
        """Whether a request has brought the token that we have now, not an earlier one."""
        return self._credentials() in request.headers.get_all(role.credentials_header)


def _realms(response: Response, role: DigestRole) -> list[str]:
    """The realms of the Bearer challenges; "" for one that names none."""
    found = []
    for text in response.headers.get_all(role.challenge_header)[:MAXIMUM_CHALLENGES]:
        try:
            value = AuthValue.parse(text)
        except MalformedMessage:
            continue
        if value.scheme.lower() == "bearer":
            found.append(value.parameter("realm") or "")
    return found
