"""A device's identity: one certificate with its private key.

One file holds both, key first, so that one rename replaces both.  The key in the file may be
encrypted (PKCS#8, RFC 5958).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from softphone.errors import ConfigurationError
from softphone.security import KeyMaterial
from softphone.trust.certificate import der_of, load_certificates
from softphone.trust.csr import PrivateKey
from softphone.trust.disk.private_file import read_whole


def public_key_of(key: PrivateKey) -> bytes:
    """The public half as DER SubjectPublicKeyInfo."""
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def is_encrypted(pem: bytes) -> bool:
    """Whether the private key in a PEM text needs a passphrase (RFC 7468 section 11, RFC 1421)."""
    return b"BEGIN ENCRYPTED PRIVATE KEY" in pem or b"Proc-Type: 4,ENCRYPTED" in pem


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate and its private key, RSA or EC."""

    certificate: x509.Certificate
    key: PrivateKey = field(repr=False, compare=False)

    @property
    def der(self) -> bytes:
        """The certificate's DER."""
        return der_of(self.certificate)

    def pem(self, passphrase: KeyMaterial | None = None) -> bytes:
        """Key (PKCS#8, encrypted when there is a passphrase) and certificate, in one text."""
        protection: KeySerializationEncryption = NoEncryption()
        if passphrase is not None:
            protection = BestAvailableEncryption(passphrase.reveal())
        key = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection)
        return key + self.certificate.public_bytes(Encoding.PEM)

    @classmethod
    def from_pem(
        cls, data: bytes, *, source: str = "identity", passphrase: KeyMaterial | None = None
    ) -> Identity:
        """Load key and certificate, in either order; a key in clear needs no passphrase.

        Raises ConfigurationError, naming `source`, when one is missing, they do not match, or the
        key does not open.
        """
        certificate = load_certificates(data, source=source)[0]
        password = None
        if is_encrypted(data):
            if passphrase is None:
                raise ConfigurationError(f"the key in {source} is encrypted: give its passphrase")
            password = passphrase.reveal()
        try:
            key = load_pem_private_key(data, password)
        except (ValueError, TypeError) as exc:
            if password is not None:
                raise ConfigurationError(
                    f"the key in {source} does not open with this passphrase"
                ) from exc
            raise ConfigurationError(f"{source} holds no private key that can be read") from exc
        if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise ConfigurationError(f"the key in {source} is neither RSA nor on a curve")
        form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        if certificate.public_key().public_bytes(*form) != public_key_of(key):
            raise ConfigurationError(f"the key in {source} is not the certificate's")
        return cls(certificate, key)

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], *, passphrase: KeyMaterial | None = None
    ) -> Identity:
        """Load key and certificate from a PEM file.  Raises ConfigurationError."""
        where = Path(path)
        return cls.from_pem(read_whole(where), source=str(where), passphrase=passphrase)
