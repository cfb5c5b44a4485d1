"""The cryptography of CUCM's files: signatures, and bodies encrypted to one device.

The format fixes RSA PKCS#1 v1.5 (RFC 8017 sections 8.2 and 7.2) and AES-128-CBC.  Which signers
are trusted is decided in `softphone.trust.lists.acceptance` and
`softphone.provisioning.signed_file`.
"""

from __future__ import annotations

import hashlib
import hmac
import warnings
from dataclasses import dataclass, field
from typing import TypeAlias

from cryptography import x509
from cryptography.exceptions import InternalError, InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from softphone.errors import ConfigurationError, FipsForbidden
from softphone.sans_io import Entropy
from softphone.trust.lists.tlv import (
    ContentKey,
    FileHashAlgorithm,
    FileHeader,
    FileHeaderFields,
    FileRefusalReason,
    FileRefused,
    SignerId,
    encode_element,
    unsigned_header,
)

DeviceCertificate: TypeAlias = x509.Certificate
"""The certificate that a file is encrypted to."""
DeviceKey: TypeAlias = rsa.RSAPrivateKey
"""The private key that decrypts it."""


def device_key(key: object) -> DeviceKey | None:
    """Return the key if it is RSA, which encrypted files need; None for any other."""
    return key if isinstance(key, rsa.RSAPrivateKey) else None


_LEAST_RSA_BITS = 2048
_MOST_EXPONENT_BITS = 64
"""Most bits of an RSA public exponent: a larger one makes each verification take milliseconds."""
_HASHES: dict[FileHashAlgorithm, hashes.HashAlgorithm] = {
    FileHashAlgorithm.SHA_1: hashes.SHA1(),
    FileHashAlgorithm.SHA_256: hashes.SHA256(),
    FileHashAlgorithm.SHA_512: hashes.SHA512(),
}
_SIGNATURE = 12
_KEY_BYTES = 16
_BLOCK = 16
_PAD_BYTE = b"\r"


def digest_of(data: bytes, digest: FileHashAlgorithm) -> bytes:
    """Hash `data` with the algorithm `digest`."""
    return hashlib.new(digest.hash_name, data, usedforsecurity=False).digest()


def read_certificate(der: bytes) -> x509.Certificate | None:
    """Parse a certificate (DER) with a usable public key; None for anything else."""
    with warnings.catch_warnings():
        # The parser warns about oddities of old certificates, which we cannot change.
        warnings.simplefilter("ignore")
        try:
            certificate = x509.load_der_x509_certificate(der)
            certificate.public_key()
        except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):
            return None
    return certificate


def public_key_bytes(certificate: x509.Certificate) -> bytes | None:
    """The key as records hold it: RSAPublicKey in DER, or an uncompressed point; else None."""
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
    if isinstance(key, ec.EllipticCurvePublicKey):
        encoding = serialization.Encoding.X962
        return key.public_bytes(encoding, serialization.PublicFormat.UncompressedPoint)
    return None


def verify_file_signature(data: bytes, header: FileHeader, signer: x509.Certificate) -> None:
    """Verify the signature over the whole file with the certificate's key.

    Raises FileRefused (SIGNATURE_INVALID) when it is wrong, or the key is not RSA of the announced
    size, is shorter than 2,048 bits, or has an exponent of more than 64 bits.
    """
    key = signer.public_key()
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size != 8 * header.modulus_bytes:
        raise FileRefused(
            FileRefusalReason.SIGNATURE_INVALID,
            "the signature does not fit the key of the named signer",
        )
    if key.key_size < _LEAST_RSA_BITS:
        raise FileRefused(
            FileRefusalReason.SIGNATURE_INVALID,
            f"the signer's RSA key has {key.key_size} bits; at least {_LEAST_RSA_BITS} are needed",
        )
    if key.public_numbers().e.bit_length() > _MOST_EXPONENT_BITS:
        raise FileRefused(
            FileRefusalReason.SIGNATURE_INVALID,
            "the signer's RSA key has an exponent that nobody uses",
        )
    try:
        key.verify(
            header.signature,
            header.signed_bytes(data),
            padding.PKCS1v15(),
            _HASHES[header.digest],
        )
    except InvalidSignature:
        raise FileRefused(
            FileRefusalReason.SIGNATURE_INVALID,
            f"the signature of {header.filename} is wrong: the file was changed after it was"
            " signed, or it is somebody else's",
        ) from None


@dataclass(frozen=True, slots=True)
class FileSigner:
    """A certificate and its RSA key, to sign lists and files as the server does."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey = field(repr=False)

    @classmethod
    def from_pem(cls, certificate: bytes, key: bytes) -> FileSigner:
        """Load both from PEM.  Raises ConfigurationError if unreadable, or the key is not RSA."""
        try:
            loaded = serialization.load_pem_private_key(key, password=None)
            parsed = x509.load_pem_x509_certificate(certificate)
        except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
            raise ConfigurationError("the signer's certificate or key cannot be read") from exc
        if not isinstance(loaded, rsa.RSAPrivateKey):
            raise ConfigurationError("lists and files are signed by RSA keys")
        return cls(parsed, loaded)

    @property
    def id(self) -> SignerId:
        """The signer as headers name it, with name parts in the certificate's order."""
        return SignerId(
            subject=name_text(self.certificate.subject),
            issuer=name_text(self.certificate.issuer),
            serial=self.certificate.serial_number,
        )


def name_text(name: x509.Name) -> str:
    """A distinguished name as text for records and headers; never compared."""
    return ",".join(part.rfc4514_string() for part in name.rdns)


def sign_file_body(fields: FileHeaderFields, body: bytes, signer: FileSigner) -> bytes:
    """Sign a file; returns header and body.

    Raises ConfigurationError for a key size that the format has no code for or a header that is
    too long, and FipsForbidden for SHA-1 in FIPS mode.
    """
    try:
        before, after = unsigned_header(fields, signer.id, modulus_bytes=signer.key.key_size // 8)
    except ValueError as exc:
        raise ConfigurationError(f"{fields.filename} cannot be signed: {exc}") from exc
    try:
        signature = signer.key.sign(
            before + after + body, padding.PKCS1v15(), _HASHES[fields.digest]
        )
    except UnsupportedAlgorithm as exc:
        raise FipsForbidden(
            f"{fields.filename} cannot be signed over {fields.digest.hash_name}: the FIPS provider"
            " verifies such signatures and makes none"
        ) from exc
    return before + encode_element(_SIGNATURE, signature) + after + body


def encrypt_body(
    text: bytes,
    recipient: x509.Certificate,
    *,
    entropy: Entropy,
    digest: FileHashAlgorithm = FileHashAlgorithm.SHA_512,
) -> tuple[ContentKey, bytes]:
    """Encrypt a text to a device's certificate; returns the header's fields and the body.

    Padding adds 1 to 16 bytes, as in CUCM's files.  Raises ConfigurationError for a certificate
    without RSA key, and FipsForbidden in FIPS mode, where the provider unwraps keys by PKCS#1 v1.5
    but does not wrap them.
    """
    key = recipient.public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        raise ConfigurationError("files are encrypted to RSA keys only: the device has another")
    content_key, iv = entropy(_KEY_BYTES), entropy(_BLOCK)
    padded_by = _BLOCK - len(text) % _BLOCK
    try:
        wrapped_key = key.encrypt(content_key, padding.PKCS1v15())
    except InternalError as exc:
        raise FipsForbidden("in FIPS mode no file is encrypted by RSA with PKCS#1 v1.5") from exc
    encryptor = Cipher(algorithms.AES(content_key), modes.CBC(iv)).encryptor()
    body = encryptor.update(text + _PAD_BYTE * padded_by) + encryptor.finalize()
    return (
        ContentKey(
            iv=iv,
            padding=padded_by,
            wrapped_key=wrapped_key,
            digest=digest,
            digest_value=digest_of(text, digest),
        ),
        body,
    )


def can_encrypt_to(recipient: x509.Certificate, *, entropy: Entropy) -> bool:
    """Whether `encrypt_body` works with this certificate: an RSA key, and not in FIPS mode."""
    try:
        encrypt_body(b"", recipient, entropy=entropy)
    except (ConfigurationError, FipsForbidden):
        return False
    return True


def decrypt_body(content: ContentKey, body: bytes, key: rsa.RSAPrivateKey) -> bytes:
    """Decrypt a body whose signature has been verified.

    Raises FileRefused (CANNOT_DECRYPT), the same for every failure, so that no padding oracle
    results (RFC 8017 section 7.2.2).
    """
    text = _decrypted(content, body, key)
    if text is None or not hmac.compare_digest(
        digest_of(text, content.digest), content.digest_value
    ):
        raise FileRefused(
            FileRefusalReason.CANNOT_DECRYPT,
            "the file is encrypted to another certificate than the device has, or damaged:"
            " renew the device's certificate (LSC), then fetch the file again",
        )
    return text


def _decrypted(content: ContentKey, body: bytes, key: rsa.RSAPrivateKey) -> bytes | None:
    if not body or len(body) % _BLOCK:
        return None
    try:
        content_key = key.decrypt(content.wrapped_key, padding.PKCS1v15())
    except ValueError:
        return None
    if len(content_key) != _KEY_BYTES:
        return None
    decryptor = Cipher(algorithms.AES(content_key), modes.CBC(content.iv)).decryptor()
    padded = decryptor.update(body) + decryptor.finalize()
    return padded[: len(padded) - content.padding]
