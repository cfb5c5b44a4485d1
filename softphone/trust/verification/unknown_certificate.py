"""The question to the user about an unknown certificate, with all that the answer needs.

The user may accept a certificate that no anchor vouches for, for one service at one host and
port.  An expired certificate or a weak key is refused without asking.
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
    """Where a certificate was presented; `reference` is the name that we meant to reach."""

    service: Service
    host: str
    port: int
    reference: str


@dataclass(frozen=True, slots=True)
class UnknownCertificate:
    """Asks whether to trust a certificate for a service at a host and port, permanently.

    `names` are its identities, prefixed by kind; `fingerprint` is the SHA-256 of its DER in
    lower-case hex; `reason` says why it is not trusted; `mismatch` says that it does not name the
    reference identity (empty when it does); both dates are in UTC.
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
        """The pin that a yes stores."""
        return Pin(self.service, self.host, self.port, self.certificate)


AskUser: TypeAlias = Callable[[UnknownCertificate], Awaitable[bool]]
"""`await ask(question)`: True accepts and stores a pin, False refuses.  May wait for a person."""


def question_about(
    certificate: bytes, place: ServiceEndpoint, *, reason: str, wall: datetime
) -> UnknownCertificate:
    """Make the question about a certificate (DER) that was presented at `place`.

    Raises CertificateExpired outside its validity period, and CertificateUntrusted when it cannot
    be read or is too weak.
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
