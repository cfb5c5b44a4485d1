"""Checks of a verified path: key sizes, signature hashes, dates and the strict form of RFC 5280.

OpenSSL builds and verifies the path.  These are the rules that it has no flag for, or only one
flag for a whole context.  Pure functions on parsed certificates.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from softphone.errors import CertificateExpired, CertificateUntrusted
from softphone.security import Relaxation
from softphone.trust.certificate.certificate import UNREADABLE, subject_of

_T = TypeVar("_T", bound=x509.ExtensionType)

_LEAST_RSA_BITS = 2048
_LEAST_RELAXED_BITS = 1024
_LEAST_CURVE_BITS = 256
_WEAK_HASHES = frozenset({"md5", "sha1"})


def check_dates(path: Sequence[x509.Certificate], *, wall: datetime) -> None:
    """Raise CertificateExpired unless `wall` is within every validity period."""
    for certificate in path:
        if wall > certificate.not_valid_after_utc:
            raise CertificateExpired(
                f"the certificate of {subject_of(certificate)} expired on"
                f" {certificate.not_valid_after_utc:%F %R} UTC"
            )
        if wall < certificate.not_valid_before_utc:
            raise CertificateExpired(
                f"the certificate of {subject_of(certificate)} is not valid before"
                f" {certificate.not_valid_before_utc:%F %R} UTC"
            )


def check_strength(
    path: Sequence[x509.Certificate], allow: Collection[Relaxation] = ()
) -> tuple[str, ...]:
    """Raise CertificateUntrusted for a weak key or signature anywhere in the path.

    Returns one text for each weakness that `allow` lets pass.  The last certificate is the
    anchor: its own signature proves nothing and is not judged, but MD5 or SHA-1 is reported.
    """
    found = (
        (certificate, weakness, allowed)
        for index, certificate in enumerate(path)
        for weakness, allowed in _weaknesses(certificate, signed=index < len(path) - 1)
    )
    passed: list[str] = []
    for certificate, weakness, allowed in found:
        subject = subject_of(certificate)
        if allowed is None or allowed not in allow:
            hint = f" (a setting can allow it: {allowed.value})" if allowed is not None else ""
            raise CertificateUntrusted(f"the certificate of {subject} has {weakness}{hint}")
        passed.append(f"{subject}: {weakness}, allowed by {allowed.value}")
    own = _weak_signature(path[-1]) if path else None
    if own is not None:
        passed.append(f"{subject_of(path[-1])}: {own[0]} on a certificate trusted for itself")
    return tuple(passed)


def _weaknesses(
    certificate: x509.Certificate, *, signed: bool
) -> Iterator[tuple[str, Relaxation | None]]:
    """Yield each weakness with the relaxation that would let it pass (None: nothing would)."""
    key = _weak_key(certificate)
    if key is not None:
        yield key
    signature = _weak_signature(certificate) if signed else None
    if signature is not None:
        yield signature


def _weak_key(certificate: x509.Certificate) -> tuple[str, Relaxation | None] | None:
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return "a key that cannot be read", None
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size >= _LEAST_RSA_BITS:
            return None
        enough = key.key_size >= _LEAST_RELAXED_BITS
        words = f"an RSA key of {key.key_size} bits, less than {_LEAST_RSA_BITS}"
        return words, Relaxation.RSA_1024 if enough else None
    if isinstance(key, ec.EllipticCurvePublicKey):
        weak = key.curve.key_size < _LEAST_CURVE_BITS
        return (f"a key on {key.curve.name}", None) if weak else None
    if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        return None
    return f"a key of a kind that is not used for TLS ({type(key).__name__})", None


def _weak_signature(certificate: x509.Certificate) -> tuple[str, Relaxation | None] | None:
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return "a signature of an unknown kind", None
    if algorithm is None or algorithm.name not in _WEAK_HASHES:
        return None
    allowed = Relaxation.SHA1 if algorithm.name == "sha1" else None
    return f"a {algorithm.name.upper()} signature", allowed


def strict_violations(path: Sequence[x509.Certificate]) -> tuple[str, ...]:
    """List departures from RFC 5280 section 4, by the rules of OpenSSL's X509_STRICT.

    A path of one certificate has none.
    """
    if len(path) < 2:
        return ()
    last = len(path) - 1
    return tuple(
        f"{subject_of(certificate)}: {departure}"
        for index, certificate in enumerate(path)
        for departure in _departures(certificate, anchor=index == last)
    )


def _departures(certificate: x509.Certificate, *, anchor: bool) -> Iterator[str]:
    try:
        extensions = certificate.extensions
    except UNREADABLE:
        yield "its extensions cannot be read"
        return
    identifier = _find(extensions, x509.SubjectKeyIdentifier)
    authority = _find(extensions, x509.AuthorityKeyIdentifier)
    if identifier is not None and identifier.critical:
        yield "its subject key identifier is critical"
    if authority is not None and authority.critical:
        yield "its authority key identifier is critical"
    if not anchor and (authority is None or authority.value.key_identifier is None):
        yield "it has no authority key identifier"
    yield from _role_departures(extensions, identified=identifier is not None)


def _role_departures(extensions: x509.Extensions, *, identified: bool) -> Iterator[str]:
    constraints = _find(extensions, x509.BasicConstraints)
    usage = _find(extensions, x509.KeyUsage)
    if constraints is not None and constraints.value.ca:
        if not constraints.critical:
            yield "its basic constraints are not critical"
        if usage is None:
            yield "it is an authority without key usage"
        if not identified:
            yield "it is an authority without subject key identifier"
    elif usage is not None and usage.value.key_cert_sign:
        yield "it may sign certificates and is no authority"


def _find(extensions: x509.Extensions, kind: type[_T]) -> x509.Extension[_T] | None:
    try:
        return extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        return None
