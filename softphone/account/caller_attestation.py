"""Verifies the signed numbers of an account's callers (STIR, RFC 8224), beside the ringing.

Runs only for admitted calls.  The certificate is fetched only if the claims match the call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from softphone.call import IncomingLeg
from softphone.config import StirConfig
from softphone.errors import SoftphoneError
from softphone.net.http import RepositoryFetcher
from softphone.net.stream import HostResolver
from softphone.security import RevocationMode
from softphone.trust import Service, TlsSettings, TrustStore
from softphone.trust.stir import (
    Attestation,
    CallClaims,
    InvalidPassport,
    Passport,
    ReplayCache,
    load_path,
    number_of,
    select_passports,
    verify_passport,
)

PATIENCE = 2.0
"""Seconds after which a verification has failed."""
MOST_FETCHES = 2
"""The most certificates that are fetched for one call."""


class _Answer:
    """Whether a call has been answered; does not keep a call that has ended."""

    def __init__(self, leg: IncomingLeg) -> None:
        self._leg: IncomingLeg | None = leg
        self._answered = False
        leg.ended.add_done_callback(self._end)

    def __call__(self) -> bool:
        return self._answered if self._leg is None else self._leg.accepted

    def _end(self, _: object) -> None:
        self._answered, self._leg = self(), None


class CallerVerifier:
    """Verifies callers by one account's settings.  Raises ConfigurationError for unusable files.

    `used` are the PASSporTs that the account has verified by its settings before.
    """

    def __init__(
        self,
        config: StirConfig,
        *,
        resolve: HostResolver,
        fips: bool,
        used: ReplayCache | None = None,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._config = config
        self._wall = wall
        self.used = ReplayCache() if used is None else used
        self._anchors = TrustStore.from_sources(*config.anchors).anchors
        # The web server's certificate is not checked for revocation: that would be a second fetch
        # from an address that a stranger names, and the fetched certificate has a signature chain
        # of its own.
        tls = TlsSettings(
            store=TrustStore.from_sources(*config.https_ca),
            service=Service.HTTPS,
            revocation=RevocationMode.OFF,
            fips=fips,
        )
        self._fetcher = RepositoryFetcher(tls, resolve=resolve, allowed=config.allowed_networks())

    async def verify(self, leg: IncomingLeg) -> None:
        """Verify a call's Identity header fields, in `PATIENCE` seconds, and tell the leg."""
        leg.attest(await self._attestation_of(leg))

    async def _attestation_of(self, leg: IncomingLeg) -> Attestation:
        wall = self._wall()
        passports, reasons = select_passports(
            leg.request.headers.get_all("Identity"),
            self._claims_of(leg),
            wall=wall,
            fresh=self._config.freshness,
        )
        try:
            async with asyncio.timeout(PATIENCE):
                for passport in passports[:MOST_FETCHES]:
                    try:
                        path = load_path(await self._fetcher.fetch(passport.url))
                        found = verify_passport(passport, path, self._anchors, wall=wall)
                        self._register_use(passport, leg)
                        return found
                    except (InvalidPassport, SoftphoneError) as error:
                        reasons.append(str(error))
        except TimeoutError:
            reasons.append(f"its certificate did not come within {PATIENCE:g} s")
        return Attestation(reason="; ".join(dict.fromkeys(reasons))[:1000])

    def _register_use(self, passport: Passport, leg: IncomingLeg) -> None:
        """Raise InvalidPassport if the PASSporT was used for another call."""
        request = leg.request
        self.used.register_use(
            passport,
            f"{request.call_id} {request.from_.tag}",
            answered=_Answer(leg),
            now=self._wall().timestamp(),
            fresh=self._config.freshness,
        )

    def _claims_of(self, leg: IncomingLeg) -> CallClaims:
        """Return the claims to verify; the caller is the identity that is shown, so that no other
        number is attested.
        """
        request = leg.request
        numbers = self._config.canonical_numbers()
        if not numbers:
            named = (number_of(request.to.uri), number_of(request.uri))
            numbers = frozenset(number for number in named if number is not None)
        date = None if request.date is None else request.date.timestamp()
        return CallClaims(number_of(leg.peer.uri), numbers, date)
