"""CUCM's signed files (`.sgn`), and files signed and encrypted for one device (`.enc.sgn`).

Checks the signer against the trust lists, the name inside against the requested name, and
timestamp and hash against the last accepted file of that name.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from softphone.sans_io import Entropy
from softphone.trust.lists import (
    SHA_1_NOTE,
    DeviceCertificate,
    DeviceKey,
    FileHashAlgorithm,
    FileHeader,
    FileHeaderFields,
    FileRefusalReason,
    FileRefused,
    FileSigner,
    Role,
    TrustBasis,
    TrustLists,
    decrypt_body,
    encrypt_body,
    parse_header,
    read_certificate,
    sign_file_body,
    verify_file_signature,
)

_PLAIN_VERSION = (1, 0)
_SEALED_VERSION = (2, 0)


@dataclass(frozen=True, slots=True)
class LastAccepted:
    """Timestamp (Unix seconds) and hash of the last accepted file of a name."""

    timestamp: int | None = None
    digest: FileHashAlgorithm = FileHashAlgorithm.SHA_1


@dataclass(frozen=True, slots=True)
class SignedFilePolicy:
    """The rules for signatures: `sha_1` admits SHA-1, CUCM's default."""

    sha_1: bool = True


@dataclass(frozen=True, slots=True)
class VerifiedFile:
    """A file whose signature, signer, name and age are verified.

    `body` is the text, or the ciphertext when `encrypted`; `basis` is the list that names the
    `signer` (its certificate, DER); `notes` are warnings for a person.
    """

    header: FileHeader
    body: bytes = field(repr=False)
    basis: TrustBasis
    signer: bytes = field(repr=False)
    notes: tuple[str, ...] = ()

    @property
    def encrypted(self) -> bool:
        """Whether the body is a ciphertext."""
        return self.header.content_key is not None

    @property
    def accepted(self) -> LastAccepted:
        """Its timestamp and hash, to compare with the next file."""
        return LastAccepted(self.header.timestamp, self.header.digest)


def _check_form(header: FileHeader, policy: SignedFilePolicy) -> None:
    sealed = header.content_key is not None
    if header.version != (_SEALED_VERSION if sealed else _PLAIN_VERSION):
        raise FileRefused(
            FileRefusalReason.MALFORMED,
            f"{header.filename} says version {header.version[0]}.{header.version[1]}, which is"
            f" not that of {'an encrypted' if sealed else 'a signed'} file",
        )
    if header.digest is FileHashAlgorithm.SHA_256:
        raise FileRefused(
            FileRefusalReason.DIGEST_FORBIDDEN,
            f"{header.filename} is signed over SHA-256: no file may be",
        )
    if header.digest is FileHashAlgorithm.SHA_1 and not policy.sha_1:
        raise FileRefused(
            FileRefusalReason.DIGEST_FORBIDDEN,
            f"{header.filename} is {SHA_1_NOTE} (SHA-1 is forbidden)",
        )


def _check_signer(data: bytes, header: FileHeader, lists: TrustLists) -> tuple[bytes, TrustBasis]:
    """Verify the signature; returns the signer's certificate and the list with it as TFTP."""
    refused: FileRefused | None = None
    for der in lists.certificates(Role.TFTP):
        certificate = read_certificate(der)
        basis = lists.basis(der, Role.TFTP)
        if certificate is None or basis is None:
            continue
        if certificate.serial_number != header.signer.serial:
            continue
        try:
            verify_file_signature(data, header, certificate)
        except FileRefused as exc:
            refused = exc
        else:
            return der, basis
    if refused is not None:
        raise refused
    raise FileRefused(
        FileRefusalReason.SIGNER_UNKNOWN,
        f"{header.filename} is signed by {header.signer.subject}, whom no trust list names as a"
        " server of files; fetch the trust lists again",
    )


def _check_name(header: FileHeader, requested: str) -> None:
    inside = header.filename
    if "/" not in requested:
        inside = inside.rpartition("/")[2]
    if inside != requested:
        raise FileRefused(
            FileRefusalReason.NAME_MISMATCH,
            f"{requested} was asked for, and a file signed as {header.filename} came",
        )


def _check_succession(header: FileHeader, last: LastAccepted) -> None:
    older = last.timestamp is not None and (
        header.timestamp is None or header.timestamp < last.timestamp
    )
    if older:
        raise FileRefused(
            FileRefusalReason.OLDER,
            f"{header.filename} is older than the one that was accepted last: somebody serves an"
            " old file again",
        )
    if header.digest is FileHashAlgorithm.SHA_1 and last.digest is not FileHashAlgorithm.SHA_1:
        raise FileRefused(
            FileRefusalReason.DIGEST_DOWNGRADE,
            f"{header.filename} is {SHA_1_NOTE}; the last one was signed over SHA-512",
        )


def verify_file(
    data: bytes,
    requested: str,
    lists: TrustLists,
    *,
    last: LastAccepted | None = None,
    policy: SignedFilePolicy | None = None,
) -> VerifiedFile:
    """Verify a signed file that was requested as `requested`.

    Raises only FileRefused, with the cause, whatever the bytes are.
    """
    header = parse_header(data)
    _check_form(header, policy or SignedFilePolicy())
    signer, basis = _check_signer(data, header, lists)
    _check_name(header, requested)
    _check_succession(header, last or LastAccepted())
    notes = (SHA_1_NOTE,) if header.digest is FileHashAlgorithm.SHA_1 else ()
    return VerifiedFile(header, data[header.length :], basis, signer, notes)


def decrypt_file(verified: VerifiedFile, key: DeviceKey) -> bytes:
    """Decrypt a verified file with the key of the device's certificate.

    Returns the body of a file that is not encrypted.  Raises FileRefused (CANNOT_DECRYPT).
    """
    content = verified.header.content_key
    return verified.body if content is None else decrypt_body(content, verified.body, key)


def sign_file(
    text: bytes,
    name: str,
    signer: FileSigner,
    *,
    timestamp: int,
    digest: FileHashAlgorithm = FileHashAlgorithm.SHA_512,
) -> bytes:
    """Make a signed file, as the server does; `name` is the published one, with `.sgn`."""
    return sign_file_body(FileHeaderFields(_PLAIN_VERSION, name, timestamp, digest), text, signer)


@dataclass(frozen=True, slots=True)
class FileRecipient:
    """The certificate a file is encrypted to, and the source of random content keys."""

    certificate: DeviceCertificate
    entropy: Entropy


def encrypt_file(
    text: bytes,
    name: str,
    signer: FileSigner,
    recipient: FileRecipient,
    *,
    timestamp: int,
    digest: FileHashAlgorithm = FileHashAlgorithm.SHA_512,
) -> bytes:
    """Make an encrypted and signed file, as the server does; `name` ends in `.enc.sgn`.

    Raises ConfigurationError for a device without RSA key, and FipsForbidden in FIPS mode.
    """
    content, body = encrypt_body(
        text, recipient.certificate, entropy=recipient.entropy, digest=digest
    )
    fields = FileHeaderFields(_SEALED_VERSION, name, timestamp, digest, content_key=content)
    return sign_file_body(fields, body, signer)
