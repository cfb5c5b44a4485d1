"""Authentication of users who register and call: by certificate, digest or bearer token.

Refusals are CUCM's: 403 with the reason in a Warning, 407 Bearer on the port for tokens.  An
unknown name is answered as some user's would be, in status, header fields and processing time.  A
keyed hash selects its way of authentication, so that the answer is the same each time.
"""

from __future__ import annotations

import hmac
import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache

from softphone.lab.config import LabConfig, LabUser, Login
from softphone.lab.registrar.device_registrar import (
    PORT_MISMATCH,
    SECURITY_MISMATCH,
    TLS_FAILURE,
    DeviceRegistrar,
    LabResponse,
    NoResponse,
    device_of,
    forbidden,
)
from softphone.lab.registrar.registrar import Registrar, certificate_speaks_for
from softphone.rate_limit import TokenBucket
from softphone.sans_io import Address, Flow, Transport
from softphone.sip import Request, SipUri, Uri
from softphone.sip.auth import bearer_challenge, presented_token
from softphone.sip.auth.digest_server import DigestRefused, DigestVerifier

REALM = "ccmsipline"
OTHER_USER = "the credentials are those of another user"
BAD_REQUEST = 400
_VOUCHES = ("Supported", "X-cisco-sis-9.0.0")
REMEMBERED = 8192
"""Admitted flows that are remembered; the oldest are forgotten and must be admitted again."""
LONGEST = 60
"""The longest Retry-After in seconds."""


class RegistrationRateLimit:
    """Admits `rate` new flows a second, and `burst` at once; others get a time to retry after (RFC
    3261 section 21.5.4).

    A connection (or UDP address) that was admitted stays so, so that challenges, refreshes and
    unregistrations are never limited.
    """

    def __init__(self, *, rate: float, burst: float) -> None:
        self._bucket = TokenBucket(rate=rate, burst=burst)
        self._admitted: OrderedDict[Flow, None] = OrderedDict()
        self._turned_away = 0

    def retry_after(self, flow: Flow, *, now: float) -> int:
        """0 when `flow` may register, else the seconds after which to try again.

        They grow with the number of refused flows, so that the devices spread out.
        """
        if flow in self._admitted:
            self._admitted.move_to_end(flow)
            return 0
        if not self._bucket.admit(now=now):
            self._turned_away += 1
            return min(LONGEST, math.ceil(self._turned_away / self._bucket.rate))
        self._turned_away = max(0, self._turned_away - 1)
        self._admitted[flow] = None
        if len(self._admitted) > REMEMBERED:
            self._admitted.popitem(last=False)
        return 0


@dataclass(slots=True)
class LabAuthenticator:
    """Authenticates users; `tokens` are their valid bearer tokens, accepted at `token_port`.

    `token_user` names the user of any other token, None for one that is not good.  `decoy_key`
    selects the login that an unknown name appears to have.
    """

    config: LabConfig
    registrar: Registrar
    devices: DeviceRegistrar
    verifier: DigestVerifier
    tokens: Mapping[str, str]
    decoy_key: bytes = field(repr=False)
    token_port: Address | None = field(default=None)
    token_user: Callable[[str], str | None] = field(default=lambda token: None, repr=False)
    rate_limit: RegistrationRateLimit = field(init=False)
    _users: dict[str, LabUser] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._users = {user.name: user for user in self.config.users}
        rate, burst = self.config.registration_rate, self.config.registration_burst
        self.rate_limit = RegistrationRateLimit(rate=rate, burst=burst)

    def handle_register(
        self, request: Request, *, flow: Flow, now: float, wall: datetime
    ) -> LabResponse | NoResponse:
        """Process one REGISTER."""
        wait = self.rate_limit.retry_after(flow, now=now)
        if wait:
            return LabResponse(503, "", (("Retry-After", str(wait)),))
        user = self.authenticate(request.to.uri, request, flow=flow, now=now)
        if isinstance(user, LabResponse):
            return user
        if device_of(request) is not None:
            return self.devices.handle_register(request, user, flow=flow, now=now, wall=wall)
        reply = self.registrar.handle_register(request, flow=flow, now=now)
        headers = tuple(reply.headers)
        if self.config.vouches and reply.status == 200 and flow.transport is Transport.TLS:
            headers += (_VOUCHES,)
        return LabResponse(reply.status, reply.reason, headers)

    def authenticate(
        self, uri: Uri, request: Request, *, flow: Flow, now: float
    ) -> LabUser | LabResponse:
        """The user that `uri` names, when the request is authentic; else the response.

        The response does not reveal whether there is such a user.
        """
        name = (uri.user if isinstance(uri, SipUri) else None) or ""
        # Compute both for every name, so that both cases take the same time.
        decoy, user = self._decoy(name), self._users.get(name)
        refusal = self._check_identity(user or decoy, request, flow=flow, now=now)
        if refusal is not None:
            return refusal
        return user or forbidden(TLS_FAILURE)

    def _decoy(self, name: str) -> LabUser:
        """The user that an unknown name appears to be."""
        drawn = hmac.digest(self.decoy_key, name.encode("utf-8", "surrogateescape"), "sha256")
        users = self.config.users
        if not users:
            return LabUser(name, Login(Transport.UDP))
        return replace(users[int.from_bytes(drawn, "big") % len(users)], name=name)

    def _check_identity(
        self, user: LabUser, request: Request, *, flow: Flow, now: float
    ) -> LabResponse | None:
        """None when the request is authentic for `user`; else the response."""
        login = user.login
        if flow.transport is not Transport.TLS and login.secure:
            return forbidden(SECURITY_MISMATCH)
        if login.token is not (flow.local == self.token_port):
            return forbidden(PORT_MISMATCH)
        if login.token:
            token = presented_token(request) or ""
            shown, good = token.encode("utf-8", "surrogateescape"), self.tokens.get(user.name, "")
            by_list = bool(good) and hmac.compare_digest(shown, good.encode())
            if not by_list and self.token_user(token) != user.name:
                return LabResponse(407, "", (bearer_challenge(REALM),))
            return None
        carrier = self.config.carrier
        if login.certificate and not (carrier is not None and carrier.digest):
            identity, host = flow.identity, self.config.host
            if identity is not None and _speak_for(identity.names, user.name, user.device, host):
                return None
            return forbidden(TLS_FAILURE)
        verdict = self.verifier.verify(request, now=now)
        if isinstance(verdict, DigestRefused):
            return _refusal(verdict, request)
        return None if verdict.username == user.name else forbidden(OTHER_USER)


@lru_cache(1024)
def _speak_for(names: tuple[str, ...], user: str, device: str, host: str) -> bool:
    """Whether the names of a certificate are a user's, or its common name is the user's device.

    Cached, since a phone shows the same certificate for each call.
    """
    aor = SipUri("sip", user, None, host)
    return certificate_speaks_for(names, aor) or f"cn:{device}" in names


def _refusal(verdict: DigestRefused, request: Request) -> LabResponse:
    """The challenge, with a Warning that says why given credentials were refused."""
    headers = tuple(verdict.headers)
    if request.authorizations or request.proxy_authorizations:
        headers += (("Warning", f'399 lab "{verdict.reason}"'),)
    reason = verdict.reason if verdict.status == BAD_REQUEST else ""
    return LabResponse(verdict.status, reason, headers)
