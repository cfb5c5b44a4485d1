"""The lab's certificate authority: for demonstrations and tests, never for production.

Certificates per RFC 5280 with every key identifier, so that they pass OpenSSL's strict checks.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from softphone.trust import Credential

__all__ = ["Authority", "Issued"]


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate with its private key and the intermediates above it."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    chain: tuple[x509.Certificate, ...] = ()

    def write(self, folder: Path, name: str) -> Credential:
        """Write NAME.crt (0644) and NAME.key (0600) into `folder`."""
        raise NotImplementedError


class Authority:
    """A root, or an intermediate, that issues certificates."""

    def __init__(self, name: str = "softphone lab CA", *, wall: datetime | None = None) -> None:
        raise NotImplementedError

    @property
    def certificate(self) -> x509.Certificate:
        """The authority's own certificate."""
        raise NotImplementedError

    def write(self, folder: Path, name: str = "ca") -> Path:
        """Write NAME.crt into `folder`, and give its path."""
        raise NotImplementedError

    def server(
        self,
        name: str,
        *,
        dns: tuple[str, ...] = (),
        ip: tuple[str, ...] = (),
        uri: tuple[str, ...] = (),
        starts: timedelta = timedelta(hours=-1),
        lasts: timedelta = timedelta(days=30),
    ) -> Issued:
        """A server certificate; `name` is its common name."""
        raise NotImplementedError

    def client(
        self,
        aor: str,
        *,
        starts: timedelta = timedelta(hours=-1),
        lasts: timedelta = timedelta(days=30),
    ) -> Issued:
        """A client certificate for an AOR ("sip:alice@example.test"): URI SAN, and a CN."""
        raise NotImplementedError

    def intermediate(self, name: str) -> Authority:
        """A subordinate authority."""
        raise NotImplementedError
