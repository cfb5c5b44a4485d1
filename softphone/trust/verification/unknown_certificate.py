"""The question that an unknown certificate raises: all that a person needs to answer it.

A certificate that no anchor of ours vouches for may be accepted by whoever uses the phone, for one
service at one host and port.  What an answer could not mend, an expired certificate or a weak
key, is refused without asking.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from cryptography import x509

from softphone.errors import CertificateUntrusted, IdentityMismatch
from softphone.trust.certificate import (
    Pin,
    Service,
    check_dates,
    check_identity,
    check_strength,
    fingerprint_of,
    issuer_of,
    names_of,
    subject_of,
)


@dataclass(frozen=True, slots=True)
class ServiceEndpoint:
    """Where a certificate was shown; `reference` is the name that was meant to be reached."""

    service: Service
    host: str
    port: int
    reference: str


@dataclass(frozen=True, slots=True)
class UnknownCertificate:
    """May this certificate be believed at this place, now and from now on?

    `names` are its identities, prefixed by kind; `fingerprint` is the SHA-256 of its DER in
    lower-case hex; `reason` says why it is not believed already, `mismatch` that it does not name
    whom we meant to reach (empty when it does); both dates are in UTC.
    """

    service: Service
    host: str
    port: int
    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    fingerprint: str
    reason: str
    mismatch: str
    certificate: bytes = field(repr=False)

    @property
    def pin(self) -> Pin:
        """What a yes stores."""
        return Pin(self.service, self.host, self.port, self.certificate)


AskUser: TypeAlias = Callable[[UnknownCertificate], Awaitable[bool]]
"""`await ask(question)`: True accepts and stores, False refuses.  It may take its time."""


def question_about(
    certificate: bytes, place: ServiceEndpoint, *, reason: str, wall: datetime
) -> UnknownCertificate:
    """The question about a certificate (DER) that was shown at a place.

    Raises CertificateExpired or CertificateUntrusted for one that must not be accepted.
    """
    try:
        parsed = x509.load_der_x509_certificate(certificate)
    except (ValueError, x509.InvalidVersion) as exc:
        raise CertificateUntrusted(f"a certificate cannot be read: {exc}") from exc
    check_dates((parsed,), wall=wall)
    check_strength((parsed,))
    return UnknownCertificate(
        service=place.service,
        host=place.host,
        port=place.port,
        subject=subject_of(parsed),
        issuer=issuer_of(parsed),
        names=names_of(parsed),
        not_before=parsed.not_valid_before_utc,
        not_after=parsed.not_valid_after_utc,
        fingerprint=fingerprint_of(certificate),
        reason=reason,
        mismatch=_mismatch(parsed, place),
        certificate=certificate,
    )


def _mismatch(certificate: x509.Certificate, place: ServiceEndpoint) -> str:
    try:
        check_identity(certificate, place.service, place.reference)
    except IdentityMismatch as exc:
        return str(exc)
    return ""
