"""Parses, verifies and writes CTL and ITL, CUCM's lists of certificates with their roles.

A good signature proves only that the file is consistent, since the list itself holds the signer's
certificate.  `softphone.trust.lists.acceptance` decides whether the signer is trusted.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from cryptography import x509

from softphone.errors import ConfigurationError
from softphone.trust.certificate import der_of, fingerprint_of
from softphone.trust.lists.file_crypto import (
    FileSigner,
    digest_of,
    name_text,
    public_key_bytes,
    read_certificate,
    sign_file_body,
    verify_file_signature,
)
from softphone.trust.lists.tlv import (
    FileHashAlgorithm,
    FileHeader,
    FileHeaderFields,
    FileRefusalReason,
    FileRefused,
    decode_text,
    encode_element,
    encode_text_element,
    malformed_file,
    parse_elements,
    parse_header,
)

_MOST_RECORDS = 512
_SEEN_VERSION = (1, 2)


class ListKind(StrEnum):
    """The two kinds of list."""

    CTL = "ctl"
    ITL = "itl"

    @property
    def filename(self) -> str:
        """The usual file name in the header, the same for all devices."""
        return f"{self.value.upper()}File.tlv"

    def names_for(self, device: str) -> tuple[str, ...]:
        """The file names to request from a server, in order."""
        own = f"{self.value.upper()}{device}.tlv"
        return (own,) if self is ListKind.CTL else (own, self.filename)


class Role(IntEnum):
    """The roles of certificates; other values give no role."""

    SAST = 0
    CCM = 1
    CCM_TFTP = 2
    TFTP = 3
    CAPF = 4
    APP_SERVER = 7
    TVS = 21

    def given_by(self, value: int) -> bool:
        """Whether a record with this role value has the role; CCM+TFTP gives both."""
        return value == self or (value == Role.CCM_TFTP and self in (Role.CCM, Role.TFTP))


def role_names(values: Iterable[int]) -> tuple[str, ...]:
    """Roles as text for people: known ones by name, others by number."""
    known = {role.value: role.name.replace("CCM_TFTP", "CCM+TFTP") for role in Role}
    return tuple(known.get(value, str(value)).replace("_", "-") for value in values)


class _RecordTag(IntEnum):
    """The elements of a record."""

    RECORD_LENGTH = 1
    DNS_NAME = 2
    SUBJECT_NAME = 3
    ROLE = 4
    ISSUER_NAME = 5
    SERIAL_NUMBER = 6
    PUBLIC_KEY = 7
    SIGNATURE = 8
    CERTIFICATE = 9
    IP_ADDRESS = 10
    CERTIFICATE_HASH = 11
    HASH_ALGORITHM = 12


@dataclass(frozen=True, slots=True)
class TrustListRecord:
    """One record: a certificate (DER) and its role.

    `certificate` is empty in records that hold only a hash, and in the blank records of a cluster
    that has switched protection off.  `readable` is False when the certificate cannot be parsed;
    such a record gives no trust.
    """

    offset: int
    length: int
    role: int
    subject: str = ""
    issuer: str = ""
    dns_name: str = ""
    serial: bytes = b""
    certificate: bytes = field(default=b"", repr=False)
    certificate_hash: bytes = b""
    hash_algorithm: FileHashAlgorithm | None = None
    readable: bool = False

    def confirms(self, certificate: bytes) -> bool:
        """Whether the record is for this certificate (DER): byte for byte, or by SHA-256 or 512."""
        if self.certificate:
            return self.readable and self.certificate == certificate
        if self.hash_algorithm not in (FileHashAlgorithm.SHA_256, FileHashAlgorithm.SHA_512):
            return False
        return hmac.compare_digest(
            digest_of(certificate, self.hash_algorithm), self.certificate_hash
        )


@dataclass(frozen=True, slots=True)
class TrustList:
    """A parsed CTL or ITL; `data` is the whole file, by which lists are compared.

    `vouchers` are the signers (SHA-256, hex) of the lists that vouched for it, and of those before
    them; empty for a list that was only parsed.
    """

    kind: ListKind
    header: FileHeader = field(compare=False)
    records: tuple[TrustListRecord, ...] = field(compare=False)
    data: bytes = field(repr=False)
    vouchers: frozenset[str] = field(default=frozenset(), compare=False)

    def certificates(self, role: Role) -> tuple[bytes, ...]:
        """The certificates (DER) with a role, in the list's order, each once."""
        found = (r.certificate for r in self.records if role.given_by(r.role) and r.readable)
        return tuple(dict.fromkeys(found))

    def names(self, certificate: bytes, role: Role) -> bool:
        """Whether the list gives this certificate (DER) that role."""
        return any(
            role.given_by(record.role) and record.confirms(certificate) for record in self.records
        )

    @property
    def protects(self) -> bool:
        """Whether an ITL names a signer of files or a TVS, or a CTL names a call server.

        A cluster serves an ITL without them before a rollback to a release without trust lists;
        such a list is valid and switches the protection off.  A CTL names no call server after
        the cluster has left mixed mode.
        """
        if self.kind is ListKind.CTL:
            return bool(self.certificates(Role.CCM))
        return bool(self.certificates(Role.TFTP) or self.certificates(Role.TVS))

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the file, in hex."""
        return fingerprint_of(self.data)


def _values(data: bytes, start: int, length: int) -> dict[int, bytes]:
    values: dict[int, bytes] = {}
    for one in parse_elements(data, start, start + length):
        if one.tag in values:
            raise malformed_file(f"the record at byte {start} has element {one.tag} twice")
        values[one.tag] = one.value
    return values


def _record_length(data: bytes, start: int) -> int:
    if data[start : start + 3] != b"\x01\x00\x02" or len(data) - start < 5:
        raise malformed_file(f"no record begins at byte {start}")
    length = int.from_bytes(data[start + 3 : start + 5], "big")
    if not 5 < length <= len(data) - start:
        raise malformed_file(f"the record at byte {start} has a length of {length}")
    return length


def _hash_algorithm(values: dict[int, bytes]) -> FileHashAlgorithm | None:
    code = int.from_bytes(values.get(_RecordTag.HASH_ALGORITHM, b""), "big")
    return FileHashAlgorithm(code) if code in FileHashAlgorithm.__members__.values() else None


def _parse_record(data: bytes, start: int) -> TrustListRecord:
    length = _record_length(data, start)
    values = _values(data, start, length)
    role = values.get(_RecordTag.ROLE, b"")
    if len(role) != 2:
        raise malformed_file(f"the record at byte {start} has no role")
    der = values.get(_RecordTag.CERTIFICATE, b"")
    certificate = read_certificate(der) if der else None
    if certificate is not None:
        _check_copies(values, certificate, start)
    return TrustListRecord(
        offset=start,
        length=length,
        role=int.from_bytes(role, "big"),
        subject=decode_text(values.get(_RecordTag.SUBJECT_NAME, b"")),
        issuer=decode_text(values.get(_RecordTag.ISSUER_NAME, b"")),
        dns_name=decode_text(values.get(_RecordTag.DNS_NAME, b"")),
        serial=values.get(_RecordTag.SERIAL_NUMBER, b""),
        certificate=der,
        certificate_hash=values.get(_RecordTag.CERTIFICATE_HASH, b""),
        hash_algorithm=_hash_algorithm(values),
        readable=certificate is not None,
    )


def _check_copies(values: dict[int, bytes], certificate: x509.Certificate, start: int) -> None:
    """Raise FileRefused if a record contradicts its certificate.

    Compares serial number, public key, signature and hash.  Names are not compared, because
    writers format them differently.
    """
    copies = {
        _RecordTag.SERIAL_NUMBER: _serial_bytes(certificate),
        _RecordTag.PUBLIC_KEY: public_key_bytes(certificate),
        _RecordTag.SIGNATURE: certificate.signature,
    }
    algorithm = _hash_algorithm(values)
    if algorithm is not None:
        copies[_RecordTag.CERTIFICATE_HASH] = digest_of(values[_RecordTag.CERTIFICATE], algorithm)
    for tag, truth in copies.items():
        recorded = values.get(tag, b"")
        if tag is _RecordTag.SERIAL_NUMBER:
            recorded = recorded.lstrip(b"\x00")
        if recorded and truth is not None and recorded != truth:
            raise malformed_file(
                f"{tag.name} of the record at byte {start} contradicts its certificate"
            )


def _serial_bytes(certificate: x509.Certificate) -> bytes:
    serial = max(0, certificate.serial_number)
    return serial.to_bytes(max(1, (serial.bit_length() + 7) // 8), "big")


def _records(data: bytes, start: int) -> Iterator[TrustListRecord]:
    while start < len(data):
        record = _parse_record(data, start)
        yield record
        start += record.length


def _kind_of(header: FileHeader, requested: str | None) -> ListKind:
    for kind in ListKind:
        own = requested is not None and requested.startswith(kind.value.upper())
        if header.filename == kind.filename or (own and header.filename == requested):
            return kind
    raise FileRefused(
        FileRefusalReason.NAME_MISMATCH,
        f"the file is {header.filename}, which is no CTL and no ITL",
    )


def parse_trust_list(data: bytes, *, requested: str | None = None) -> TrustList:
    """Parse a CTL or an ITL; does not verify the signature.

    `requested` is the name that was requested; the file may hold it instead of the usual name.
    Takes time linear in the file's length.  Raises only FileRefused.
    """
    header = parse_header(data)
    kind = _kind_of(header, requested)
    if header.version[0] != _SEEN_VERSION[0]:
        raise malformed_file(f"lists of version {header.version[0]} are unknown")
    if header.content_key is not None:
        raise malformed_file("a list is never encrypted")
    records: list[TrustListRecord] = []
    for record in _records(data, header.length):
        if len(records) == _MOST_RECORDS:
            raise FileRefused(
                FileRefusalReason.TOO_LARGE, f"the list has more than {_MOST_RECORDS} records"
            )
        records.append(record)
    return TrustList(kind, header, tuple(records), data)


def parse_stored_list(data: bytes) -> TrustList:
    """Parse a list by the file name in its header, without comparing it with a requested name.

    Raises only FileRefused.
    """
    return parse_trust_list(data, requested=parse_header(data).filename)


def verify_trust_list(trust_list: TrustList) -> bytes:
    """Verify the signature with the list's SAST record that has the signer's serial number.

    Returns the signer's certificate (DER).  Raises FileRefused: SIGNER_UNKNOWN (no such record),
    SIGNATURE_INVALID.
    """
    refused: FileRefused | None = None
    for der in trust_list.certificates(Role.SAST):
        certificate = read_certificate(der)
        if certificate is None or certificate.serial_number != trust_list.header.signer.serial:
            continue
        try:
            verify_file_signature(trust_list.data, trust_list.header, certificate)
        except FileRefused as exc:
            refused = exc
        else:
            return der
    if refused is not None:
        raise refused
    raise FileRefused(
        FileRefusalReason.SIGNER_UNKNOWN,
        f"{trust_list.header.filename} names as its signer serial number"
        f" {trust_list.header.signer.serial:x}, and holds no SAST certificate with it",
    )


@dataclass(frozen=True, slots=True)
class RecordFields:
    """A record to write; without a certificate, the blank record of a list without protection."""

    role: Role
    certificate: x509.Certificate | None = None
    dns_name: str | None = None

    def encode(self) -> bytes:
        """Encode the record.  Raises ValueError for an element beyond 65535 bytes."""
        body = (
            b""
            if self.dns_name is None
            else encode_text_element(_RecordTag.DNS_NAME, self.dns_name)
        )
        one = self.certificate
        role = encode_element(_RecordTag.ROLE, self.role.to_bytes(2, "big"))
        if one is None:
            body += encode_text_element(_RecordTag.SUBJECT_NAME, "") + encode_text_element(
                _RecordTag.ISSUER_NAME, ""
            )
            body += encode_element(_RecordTag.SERIAL_NUMBER, b"") + role
            body += encode_element(_RecordTag.PUBLIC_KEY, b"") + encode_element(
                _RecordTag.CERTIFICATE, b""
            )
        else:
            body += encode_text_element(_RecordTag.SUBJECT_NAME, name_text(one.subject))
            body += encode_text_element(_RecordTag.ISSUER_NAME, name_text(one.issuer))
            body += encode_element(_RecordTag.SERIAL_NUMBER, _serial_bytes(one)) + role
            body += encode_element(_RecordTag.PUBLIC_KEY, public_key_bytes(one) or b"")
            body += encode_element(_RecordTag.SIGNATURE, one.signature)
            body += encode_element(_RecordTag.CERTIFICATE, der_of(one))
        length = encode_element(_RecordTag.RECORD_LENGTH, (5 + len(body)).to_bytes(2, "big"))
        return length + body


def new_trust_list(
    kind: ListKind,
    records: Iterable[RecordFields],
    signer: FileSigner,
    *,
    timestamp: int,
    digest: FileHashAlgorithm = FileHashAlgorithm.SHA_512,
    signer_version: tuple[int, int] | None = (1, 1),
) -> bytes:
    """Make and sign a list, as the server does; include the signer's own record as SAST.

    `timestamp` is in Unix seconds.  Raises ConfigurationError for a signer's key or a record that
    the format cannot hold, and FipsForbidden for SHA-1 in FIPS mode.
    """
    try:
        body = b"".join(record.encode() for record in records)
    except (ValueError, OverflowError) as exc:
        raise ConfigurationError(f"a record does not fit the format: {exc}") from exc
    fields = FileHeaderFields(_SEEN_VERSION, kind.filename, timestamp, digest, signer_version)
    return sign_file_body(fields, body, signer)
