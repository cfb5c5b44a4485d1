"""Certificates: loading, names, and whether they name whom we meant to reach.

RFC 5922 (SIP), RFC 9525 and RFC 6125 (DNS names, wildcards, common names), RFC 6120 section 13.7
(XMPP), RFC 5280 section 4.2.1.6.  Paths and dates are judged by `trust.gate`, not here.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from cryptography import x509

__all__ = [
    "Service",
    "check_identity",
    "fingerprint_of",
    "identifies",
    "load_certificates",
    "names_of",
]


class Service(StrEnum):
    """What is spoken behind the certificate; each has its own identity rules."""

    SIP = "sip"
    HTTPS = "https"
    XMPP = "xmpp"
    CAPF = "capf"


def load_certificates(data: bytes, *, source: str = "certificate") -> tuple[x509.Certificate, ...]:
    """All certificates in PEM, or the one in DER, in their order.

    Raises ConfigurationError, naming `source`, when there is none or one cannot be read.
    """
    raise NotImplementedError


def load_certificate_file(path: Path) -> tuple[x509.Certificate, ...]:
    """`load_certificates` of a file.  Raises ConfigurationError."""
    raise NotImplementedError


def fingerprint_of(certificate: x509.Certificate | bytes) -> str:
    """The SHA-256 of the DER, in lower-case hex."""
    raise NotImplementedError


def names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """Its identities, prefixed by kind: "dns:", "ip:", "uri:", "xmpp:", "srv:", "cn:"."""
    raise NotImplementedError


def identifies(certificate: x509.Certificate, service: Service, reference: str) -> bool:
    """Whether the certificate names `reference`: a domain, or an IP address."""
    raise NotImplementedError


def check_identity(certificate: x509.Certificate, service: Service, reference: str) -> None:
    """Raise IdentityMismatch, with the names that the certificate has, unless it `identifies`."""
    raise NotImplementedError
