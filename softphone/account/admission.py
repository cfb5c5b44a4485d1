"""Decides whose requests an account admits: by source, certificate and digest.

A challenge keeps nothing for the caller: the nonce proves its own age (RFC 7616), and the response
is sent without a transaction (RFC 3261 section 8.2.7).  The response is the same for an unknown
user and a wrong password.
"""

from __future__ import annotations

import asyncio
import logging

from softphone.account.context import AccountContext
from softphone.account.first_hop import FirstHopLocator
from softphone.config import AccountConfig
from softphone.rate_limit import TokenBucket
from softphone.sans_io import Entropy, Flow, Transport
from softphone.security import KeyMaterial
from softphone.sip import DigestAlgorithm, Request
from softphone.sip.auth.digest_server import DigestRefused, DigestVerifier, VerifierConfig
from softphone.sip.request_router import RequestRefusal

logger = logging.getLogger("softphone.account")

BYPASSES_SERVER = RequestRefusal(403, "Only by way of our server")
NOT_LISTED = RequestRefusal(403, "Not from here")


def digest_verifier(config: AccountConfig, *, entropy: Entropy) -> DigestVerifier | None:
    """Make the verifier of callers' digests; None if callers are not challenged.

    Raises ConfigurationError when none of the algorithms is available in FIPS mode.
    """
    challenge = config.challenge
    if challenge is None:
        return None
    passwords = challenge.passwords

    def password_of(username: str, _: DigestAlgorithm) -> KeyMaterial | None:
        return passwords.get(username)

    verifier = VerifierConfig(
        realm=challenge.realm or config.aor_uri.host,
        algorithms=tuple(DigestAlgorithm(name) for name in challenge.algorithms),
        nonce_lifetime=float(challenge.nonce_lifetime),
        any_uri=True,
    )
    return DigestVerifier(verifier, entropy=entropy, lookup=password_of)


class Admission:
    """Admits or refuses the requests that come to one account, before anything is kept for them.

    Requests within a dialog are bound to its peer already.  A sender over TLS without a certificate
    must prove a digest on each connection.
    """

    def __init__(self, context: AccountContext, locator: FirstHopLocator) -> None:
        """Raises ConfigurationError, as `digest_verifier` does."""
        self._context = context
        self._locator = locator
        self._verifier = digest_verifier(context.config, entropy=context.dependencies.entropy)
        self._proven: set[Flow] = set()
        self._warnings = TokenBucket(rate=1 / 60, burst=5)

    def judge(self, request: Request, flow: Flow, now: float) -> RequestRefusal | None:
        """Return the refusal of a request; None admits it."""
        anonymous = flow.transport is Transport.TLS and flow.identity is None
        if request.to.tag is None:
            refusal = self._judge_source(request, flow)
            if refusal is not None:
                return refusal
        elif not anonymous or flow in self._proven:
            return None
        if self._verifier is None or self._locator.needs_no_digest(flow):
            return None
        verdict = self._verifier.verify(request, now=now)
        if isinstance(verdict, DigestRefused):
            if request.authorizations and not verdict.stale:
                self._warn(request, flow, verdict.reason)
            reason = verdict.reason if verdict.status == 400 else ""
            return RequestRefusal(verdict.status, reason, verdict.headers)
        logger.info("%s: %s of user %r", self._context.config.aor, request.method, verdict.username)
        if anonymous:
            self._proven.add(flow)
        return None

    def _judge_source(self, request: Request, flow: Flow) -> RequestRefusal | None:
        """Refuse a request past our server, or from a sender that `accept_from` does not list."""
        unknown = self._locator.is_unknown_source(flow)
        if unknown and self._context.config.listen is not None:
            self._warn(request, flow, "accept_from does not list it")
            return NOT_LISTED
        if unknown or self._context.machine.bypasses_registered_flow(flow):
            self._warn(request, flow, "it did not come by our server")
            return BYPASSES_SERVER
        return None

    def proof_of(self, flow: Flow) -> str | None:
        """Return what the far end of a TLS connection without certificate has proven.

        "digest" after a request with a verified digest on this connection; "address" where
        `accept_from` lists it; None for nothing.
        """
        if flow in self._proven:
            return "digest"
        return "address" if self._locator.lists_address(flow) else None

    def is_forgeable(self, flow: Flow) -> bool:
        """Whether an admitted request on `flow` may have come from another address.

        A datagram may, unless its sender has answered a challenge or is our server.
        """
        if flow.transport is not Transport.UDP or self._verifier is not None:
            return False
        return not self._locator.is_own_server(flow)

    def flow_closed(self, flow: Flow) -> None:
        """Forget a connection that has ended."""
        self._proven.discard(flow)

    def _warn(self, request: Request, flow: Flow, why: str) -> None:
        if self._warnings.admit(now=asyncio.get_running_loop().time()):
            logger.warning(
                "%s: refused %s from %s: %s",
                self._context.config.aor,
                request.method,
                flow.remote[0],
                why,
            )
