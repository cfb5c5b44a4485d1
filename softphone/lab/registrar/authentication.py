"""Who may register with the lab and call through it: by certificate, digest or bearer token.

Refusals are CUCM's: 403 with the reason in a Warning, 407 Bearer on the port of tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from softphone.lab.config import LabConfig, LabUser
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
from softphone.lab.registrar.registration_rate import RegistrationRateLimit
from softphone.sans_io import Address, Flow, PeerIdentity, Transport
from softphone.sip import Request, SipUri
from softphone.sip.auth import bearer_challenge, presented_token
from softphone.sip.auth.digest_server import DigestRefused, DigestVerifier

__all__ = ["REALM", "LabAuthenticator"]

REALM = "ccmsipline"
_VOUCHES = ("Supported", "X-cisco-sis-9.0.0")


@dataclass(slots=True)
class LabAuthenticator:
    """`tokens` are the bearer tokens that are good now, by user; `token_port` is theirs."""

    config: LabConfig
    registrar: Registrar
    devices: DeviceRegistrar
    verifier: DigestVerifier
    tokens: Mapping[str, str]
    token_port: Address | None = field(default=None)
    rate_limit: RegistrationRateLimit = field(init=False)

    def __post_init__(self) -> None:
        rate, burst = self.config.registration_rate, self.config.registration_burst
        self.rate_limit = RegistrationRateLimit(rate=rate, burst=burst)

    def handle_register(
        self, request: Request, *, flow: Flow, now: float, wall: datetime
    ) -> LabResponse | NoResponse:
        """Process one REGISTER."""
        wait = self.rate_limit.retry_after(flow, now=now)
        if wait:
            return LabResponse(503, "", (("Retry-After", str(wait)),))
        uri = request.to.uri
        user = self.config.user(uri.user) if isinstance(uri, SipUri) else None
        if user is None or not isinstance(uri, SipUri):
            return LabResponse(404)
        refusal = self.check_identity(user, request, flow=flow, now=now)
        if refusal is not None:
            return refusal
        if device_of(request) is not None:
            return self.devices.handle_register(request, user, flow=flow, now=now, wall=wall)
        reply = self.registrar.handle_register(request, flow=flow, now=now)
        headers = tuple(reply.headers)
        if self.config.vouches and reply.status == 200 and flow.transport is Transport.TLS:
            headers += (_VOUCHES,)
        return LabResponse(reply.status, reply.reason, headers)

    def check_identity(
        self, user: LabUser, request: Request, *, flow: Flow, now: float
    ) -> LabResponse | None:
        """None when the request is really from `user`; else what to answer."""
        login = user.login
        if flow.transport is not Transport.TLS and login.secure:
            return forbidden(SECURITY_MISMATCH)
        if login.token is not (flow.local == self.token_port):
            return forbidden(PORT_MISMATCH)
        if login.token:
            good = self.tokens.get(user.name)
            if good is None or presented_token(request) != good:
                return LabResponse(407, "", (bearer_challenge(REALM),))
            return None
        if login.certificate:
            named = flow.identity is not None and self._speaks_for(flow.identity, user)
            return None if named else forbidden(TLS_FAILURE)
        verdict = self.verifier.verify(request, now=now)
        if isinstance(verdict, DigestRefused):
            return LabResponse(verdict.status, "", tuple(verdict.headers))
        return None if verdict.username == user.name else LabResponse(403)

    def _speaks_for(self, identity: PeerIdentity, user: LabUser) -> bool:
        """Whether a certificate names the user, or by its common name the user's device."""
        aor = SipUri("sip", user.name, None, self.config.host)
        return certificate_speaks_for(identity, aor) or f"cn:{user.device}" in identity.names
