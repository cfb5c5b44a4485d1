"""A device's identity: one certificate with its private key, which never leaves this process.

In a file the two stand together, key first, so that one rename swaps both.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from softphone.errors import ConfigurationError
from softphone.trust.certificate import der_of, load_certificates
from softphone.trust.csr import PrivateKey

__all__ = ["Identity", "public_key_of"]


def public_key_of(key: PrivateKey) -> bytes:
    """The public half as DER SubjectPublicKeyInfo."""
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate and the private key to it."""

    certificate: x509.Certificate
    key: PrivateKey = field(repr=False, compare=False)

    @property
    def der(self) -> bytes:
        """The certificate's DER."""
        return der_of(self.certificate)

    def pem(self) -> bytes:
        """Key (PKCS#8) and certificate, in one text."""
        key = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return key + self.certificate.public_bytes(Encoding.PEM)

    @classmethod
    def of_pem(cls, data: bytes, *, source: str = "identity") -> Identity:
        """Read key and certificate, in either order.

        Raises ConfigurationError, naming `source`, when one is missing, or they do not match.
        """
        certificate = load_certificates(data, source=source)[0]
        try:
            key = load_pem_private_key(data, None)
        except (ValueError, TypeError) as exc:
            raise ConfigurationError(f"{source} holds no private key that can be read") from exc
        if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise ConfigurationError(f"the key in {source} is neither RSA nor on a curve")
        form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        if certificate.public_key().public_bytes(*form) != public_key_of(key):
            raise ConfigurationError(f"the key in {source} is not the certificate's")
        return cls(certificate, key)

    @classmethod
    def load(cls, path: Path) -> Identity:
        """The same from a file.  Raises ConfigurationError."""
        try:
            data = path.read_bytes()
        except OSError as exc:
            raise ConfigurationError(f"{path} cannot be read: {exc.strerror}") from exc
        return cls.of_pem(data, source=str(path))
