"""The client's check of a certificate that CAPF issued, before it is stored.

RFC 5280 for dates, basic constraints and extended key usage; CAPF itself requires the device's
name as common name.  The server uses the parsing functions, too.  Pure functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from softphone.trust.capf.errors import REARM, CapfCertificateRejected
from softphone.trust.certificate import UNREADABLE, issuer_of, subject_of

_CLIENT = {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
CLOCK_TOLERANCE = timedelta(minutes=5)
"""A certificate is valid from when the server made it, and its clock may be ahead of ours."""


def parse_certificate(der: bytes) -> x509.Certificate | None:
    """Parse exactly one certificate (DER) with a readable key and extensions; else None."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        certificate.public_key()
        list(certificate.extensions)
    except (x509.InvalidVersion, UnsupportedAlgorithm, *UNREADABLE):
        return None
    return certificate


def common_name_of(certificate: x509.Certificate) -> str | None:
    """The common name of the subject; None when there is none, or more than one."""
    try:
        found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except UNREADABLE:
        return None
    return str(found[0].value) if len(found) == 1 else None


def issued_by(certificate: x509.Certificate, issuers: Sequence[x509.Certificate]) -> bool:
    """Whether one of the issuers has issued the certificate, by name and signature."""
    for issuer in issuers:
        try:
            certificate.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            continue
        return True
    return False


def check_issued(
    der: bytes,
    *,
    device: str,
    public_key: bytes,
    wall: datetime,
    issuers: Sequence[x509.Certificate] = (),
    strict: bool = False,
) -> tuple[str, ...]:
    """Check an issued certificate (DER) against the device and its key (SubjectPublicKeyInfo).

    Returns warnings.  An issuer that is none of `issuers`, if any are given, is only a warning,
    since a CAPF server may forward requests to another CA; with `strict` it is an error.  Raises
    CapfCertificateRejected.
    """
    certificate = parse_certificate(der)
    if certificate is None:
        raise _rejected("is not one certificate that can be read")
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if certificate.public_key().public_bytes(*form) != public_key:
        raise _rejected("is for another key than the one that was just made")
    name = common_name_of(certificate)
    if name != device:
        raise _rejected(f"names {name!r}, not {device!r}")
    _check_dates(certificate, wall)
    _check_purpose(certificate)
    if issued_by(certificate, issuers):
        return ()
    sentence = f"was issued by {issuer_of(certificate)}, whom we did not expect"
    if strict:
        raise _rejected(sentence)
    return (f"the certificate {sentence}",) if issuers else ()


def _rejected(sentence: str) -> CapfCertificateRejected:
    return CapfCertificateRejected(
        f"the certificate that CAPF issued {sentence}; it was not stored, and {REARM}"
    )


def _check_dates(certificate: x509.Certificate, wall: datetime) -> None:
    if wall > certificate.not_valid_after_utc:
        raise _rejected(
            f"expired on {certificate.not_valid_after_utc:%F %R} UTC and it is {wall:%F %R} here"
        )
    if wall + CLOCK_TOLERANCE < certificate.not_valid_before_utc:
        raise _rejected(
            f"is not valid before {certificate.not_valid_before_utc:%F %R} UTC and it is"
            f" {wall:%F %R} here (is our clock right?)"
        )


def _check_purpose(certificate: x509.Certificate) -> None:
    for extension in certificate.extensions:
        value = extension.value
        if isinstance(value, x509.BasicConstraints) and value.ca:
            raise _rejected(f"({subject_of(certificate)}) is an authority's")
        if isinstance(value, x509.ExtendedKeyUsage) and not _CLIENT.intersection(value):
            raise _rejected("may not be used by a TLS client")
