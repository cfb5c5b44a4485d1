"""Verifies, decrypts and parses a device's configuration file.

Nothing of a file is used before its signature, signer, name and age are checked; a refusal is a
`FileRefused` with the cause.  A file in clear is accepted only for a device that is not secure,
because nothing vouches for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from softphone.provisioning.device_config import DeviceConfig, parse_device_config
from softphone.provisioning.file_name import (
    DEFAULT_DEVICE,
    HARDWARE,
    plain_name,
    sealed_name,
    signed_name,
)
from softphone.provisioning.signed_file import (
    LastAccepted,
    SignedFilePolicy,
    VerifiedFile,
    decrypt_file,
    verify_file,
)
from softphone.trust import (
    FileRefusalReason,
    FileRefused,
    Identity,
    TrustBasis,
    TrustLists,
    fingerprint_of,
)
from softphone.trust.lists import device_key


@dataclass(frozen=True, slots=True)
class ConfigDocument:
    """A configuration that may be used, the file it came in, and its signer.

    `basis` is the list that names the signer, None for a file in clear; `signer` is the signer's
    subject, `fingerprint` the SHA-256 of its certificate; `kept` is True for the last good
    configuration, loaded from disk.
    """

    name: str
    config: DeviceConfig
    data: bytes = field(repr=False)
    basis: TrustBasis | None = None
    signer: str = ""
    fingerprint: str = ""
    notes: tuple[str, ...] = ()
    encrypted: bool = False
    kept: bool = False

    @property
    def words(self) -> str:
        """A sentence that says what was verified, and who signed."""
        if self.basis is None:
            return f"{self.name}: in clear, nobody vouches for it"
        opened = ", decrypted with the device's key" if self.encrypted else ""
        return (
            f"{self.name}: signature good, by {self.signer}, whom the {self.basis.upper()} names"
            f" as TFTP{opened}"
        )


def is_signed(data: bytes) -> bool:
    """Whether the file begins with a signature header (byte 1), and not as XML."""
    return data[:1] == b"\x01"


def decrypted(verified: VerifiedFile, identities: Sequence[Identity]) -> bytes:
    """Decrypt a verified file with the first of the device's RSA keys that fits.

    Returns the body of a file that is not encrypted.  Raises FileRefused (CANNOT_DECRYPT).
    """
    if not verified.encrypted:
        return verified.body
    keys = [key for each in identities if (key := device_key(each.key)) is not None]
    why = (
        "files are encrypted to RSA keys only, and the device's key is another: have its"
        " certificate issued anew (CAPF), for an RSA key"
        if identities
        else "the device has no certificate yet to open it with: let it enroll (CAPF)"
    )
    refused = FileRefused(
        FileRefusalReason.CANNOT_DECRYPT, f"{verified.header.filename} is encrypted: {why}"
    )
    for key in keys:
        try:
            return decrypt_file(verified, key)
        except FileRefused as exc:
            refused = exc
    raise refused


def open_signed(
    data: bytes,
    name: str,
    lists: TrustLists,
    identities: Sequence[Identity] = (),
    *,
    last: LastAccepted | None = None,
    policy: SignedFilePolicy | None = None,
) -> ConfigDocument:
    """Read the configuration in a signed file that was requested as `name`.

    `last` describes the last accepted file of that name.  Raises FileRefused, with the cause.
    """
    verified = verify_file(data, name, lists, last=last, policy=policy)
    if verified.encrypted is not name.endswith(".enc.sgn"):
        raise FileRefused(
            FileRefusalReason.NAME_MISMATCH,
            f"{name} was asked for, and a file of the other kind came",
        )
    config = parse_device_config(decrypted(verified, identities))
    return ConfigDocument(
        name=name,
        config=config,
        data=data,
        basis=verified.basis,
        signer=verified.header.signer.subject,
        fingerprint=fingerprint_of(verified.signer),
        notes=(*verified.notes, *config.contradictions),
        encrypted=verified.encrypted,
    )


def open_plain(data: bytes, name: str) -> ConfigDocument:
    """Read the configuration in a file in clear, of a device that is not secure.

    Raises FileRefused: NOT_SIGNED when it says that the device is secure, or it is a stub that
    announces an encrypted file; MALFORMED or TOO_LARGE.
    """
    config = parse_device_config(data)
    if config.tls_required or config.encrypted:
        raise FileRefused(
            FileRefusalReason.NOT_SIGNED,
            f"{name} is not signed, and says that the device is secure: nobody could tell whose"
            " servers it names; have the cluster serve trust lists, and pin their signer",
        )
    return ConfigDocument(name, config, data, notes=config.contradictions)


def last_accepted(data: bytes | None, name: str, lists: TrustLists) -> LastAccepted | None:
    """Timestamp and hash of the last accepted file; None when there is none.

    None also when the lists no longer name its signer: it was another cluster's.
    """
    if data is None:
        return None
    try:
        return verify_file(data, name, lists).accepted
    except FileRefused:
        return None


def open_last_good(
    data: bytes, device: str, lists: TrustLists, identities: Sequence[Identity]
) -> ConfigDocument:
    """Read the stored last good configuration, verifying it again.  Raises FileRefused."""
    if not is_signed(data):
        if lists != TrustLists():
            raise FileRefused(
                FileRefusalReason.NOT_SIGNED,
                f"what is kept of {device} is not signed, and has to be by now",
            )
        return open_plain(data, plain_name(device))
    names = [signed_name(device), sealed_name(device)]
    if device.startswith(HARDWARE):
        names.insert(0, signed_name(DEFAULT_DEVICE))
    for name in names[:-1]:
        try:
            return open_signed(data, name, lists)
        except FileRefused as exc:
            if exc.refusal is not FileRefusalReason.NAME_MISMATCH:
                raise
    return open_signed(data, names[-1], lists, identities)
