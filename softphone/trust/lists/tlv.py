"""Parses and writes the TLV header that CUCM's trust lists and signed files share.

An element is one byte of tag, two of length (big-endian), and the value; some elements contain
others.  The format has no public specification: each function says what it tolerates and what it
refuses.  `softphone.trust.lists.file_crypto` verifies signatures.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from softphone.errors import TrustRefused

LARGEST_FILE = 1 << 20
"""Largest file in bytes; phones accept 64 KiB at most."""

_LARGEST_HEADER = 0xFFFF
_HEADER_STARTS = b"\x01\x00\x02"
_FILE_NAME = re.compile(r"[A-Za-z0-9_.@+-][A-Za-z0-9_.@+/ -]{0,254}")


class FileRefusalReason(StrEnum):
    """Why a trust list or a signed file was not accepted."""

    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    NOT_SIGNED = "not_signed"
    DIGEST_FORBIDDEN = "digest_forbidden"
    DIGEST_DOWNGRADE = "digest_downgrade"
    SIGNER_UNKNOWN = "signer_unknown"
    SIGNATURE_INVALID = "signature_invalid"
    NAME_MISMATCH = "name_mismatch"
    OLDER = "older"
    NO_ANCHOR = "no_anchor"
    PIN_MISMATCH = "pin_mismatch"
    NOT_FOR_US = "not_for_us"
    CANNOT_DECRYPT = "cannot_decrypt"


class FileRefused(TrustRefused):
    """A trust list or a signed file was not accepted; nothing of it has been used.

    `refusal` is the cause; `fingerprint` is the SHA-256 of the signer's certificate, in hex, when
    a person has to compare it, else empty.
    """

    def __init__(self, refusal: FileRefusalReason, message: str, *, fingerprint: str = "") -> None:
        super().__init__(message)
        self.refusal = refusal
        self.fingerprint = fingerprint

    @property
    def hint(self) -> str:
        """What a person may do about this cause."""
        return _HINTS.get(self.refusal, self._hint)


_HINTS: Mapping[FileRefusalReason, str] = {
    FileRefusalReason.NO_ANCHOR: "compare the fingerprint with what the administrator says, "
    "then pin the signer",
    FileRefusalReason.PIN_MISMATCH: "compare the fingerprint with what the administrator says",
    FileRefusalReason.NOT_FOR_US: "check the device's name, and have the administrator look at "
    "its configuration",
    FileRefusalReason.CANNOT_DECRYPT: "have the device enroll with CAPF, so that the server "
    "encrypts to its certificate",
    FileRefusalReason.NAME_MISMATCH: "give the file the name under which the server has it, or "
    "check that the server is the right one",
}
"""What to do where fetching the trust lists again is no help."""


class HeaderTag(IntEnum):
    """The elements of a header."""

    VERSION = 1
    HEADER_LENGTH = 2
    SIGNER_ID = 3
    SIGNER_NAME = 4
    SERIAL_NUMBER = 5
    ISSUER_NAME = 6
    SIGNATURE_INFO = 7
    DIGEST_ALGORITHM = 8
    SIGNATURE_ALGORITHM_INFO = 9
    SIGNATURE_ALGORITHM = 10
    SIGNATURE_MODULUS = 11
    SIGNATURE = 12
    PADDING = 13
    FILENAME = 14
    TIMESTAMP = 15
    ENCRYPTION_INFO = 16
    IV_INFO = 17
    CONTENT_CIPHER = 18
    IV = 19
    PADDING_LENGTH = 20
    KEY_INFO = 21
    KEY_FORM = 22
    KEY_SIZE = 23
    KEY_ALGORITHM = 24
    ENCRYPTED_KEY = 25
    ENCRYPTION_DIGEST_ALGORITHM = 26
    ENCRYPTION_DIGEST = 27
    SIGNER_VERSION = 28


class FileHashAlgorithm(IntEnum):
    """Codes of the hash algorithms."""

    SHA_1 = 1
    SHA_256 = 2
    SHA_512 = 3

    @property
    def hash_name(self) -> str:
        """The name in hashlib."""
        return self.name.replace("_", "").lower()


_PARENT = {
    HeaderTag.SIGNER_NAME: HeaderTag.SIGNER_ID,
    HeaderTag.SERIAL_NUMBER: HeaderTag.SIGNER_ID,
    HeaderTag.ISSUER_NAME: HeaderTag.SIGNER_ID,
    HeaderTag.DIGEST_ALGORITHM: HeaderTag.SIGNATURE_INFO,
    HeaderTag.SIGNATURE_ALGORITHM_INFO: HeaderTag.SIGNATURE_INFO,
    HeaderTag.SIGNATURE_ALGORITHM: HeaderTag.SIGNATURE_ALGORITHM_INFO,
    HeaderTag.SIGNATURE_MODULUS: HeaderTag.SIGNATURE_ALGORITHM_INFO,
    HeaderTag.IV_INFO: HeaderTag.ENCRYPTION_INFO,
    HeaderTag.KEY_INFO: HeaderTag.ENCRYPTION_INFO,
    HeaderTag.CONTENT_CIPHER: HeaderTag.IV_INFO,
    HeaderTag.IV: HeaderTag.IV_INFO,
    HeaderTag.PADDING_LENGTH: HeaderTag.IV_INFO,
    HeaderTag.KEY_FORM: HeaderTag.KEY_INFO,
    HeaderTag.KEY_SIZE: HeaderTag.KEY_INFO,
    HeaderTag.KEY_ALGORITHM: HeaderTag.KEY_INFO,
    HeaderTag.ENCRYPTED_KEY: HeaderTag.KEY_INFO,
}
"""The container of each element; elements that are not listed are at the top level."""
_CONTAINERS = frozenset(_PARENT.values())
_MODULUS_BYTES = {0: 64, 1: 128, 2: 256, 3: 512}
_MODULUS_CODES = {size: code for code, size in _MODULUS_BYTES.items()}


@dataclass(frozen=True, slots=True)
class TlvElement:
    """One element: its tag, the offset of its tag byte in the file, and its value."""

    tag: int
    offset: int
    value: bytes


@dataclass(frozen=True, slots=True)
class SignerId:
    """The signer: names as text (never compared) and the certificate's serial number."""

    subject: str
    issuer: str
    serial: int


@dataclass(frozen=True, slots=True)
class ContentKey:
    """The parameters to decrypt the body of an encrypted file.

    `wrapped_key` is the content key encrypted to the device's RSA key; `iv` has 16 bytes;
    `padding` is the number of bytes after the text; `digest_value` is the hash of the text.
    """

    iv: bytes
    padding: int
    wrapped_key: bytes
    digest: FileHashAlgorithm
    digest_value: bytes


@dataclass(frozen=True, slots=True)
class FileHeader:
    """The header of a trust list or a signed file.

    `length` is the offset where the records or the body begin; `timestamp` is in Unix seconds, or
    None; `modulus_bytes` is the length of the signer's RSA modulus.
    """

    version: tuple[int, int]
    length: int
    signer_version: tuple[int, int] | None
    signer: SignerId
    digest: FileHashAlgorithm
    modulus_bytes: int
    signature: bytes
    signature_offset: int
    filename: str
    timestamp: int | None
    content_key: ContentKey | None
    elements: tuple[TlvElement, ...]

    def signed_bytes(self, data: bytes) -> bytes:
        """The bytes that the signature covers: the whole file without the SIGNATURE element."""
        after = self.signature_offset + 3 + len(self.signature)
        return data[: self.signature_offset] + data[after:]


def malformed_file(what: str) -> FileRefused:
    """Make the FileRefused (MALFORMED) that says `what` is wrong."""
    return FileRefused(FileRefusalReason.MALFORMED, f"the file is malformed: {what}")


def parse_elements(data: bytes, start: int, end: int) -> Iterator[TlvElement]:
    """Yield the elements between two offsets, without parsing containers.

    Raises FileRefused (MALFORMED) when an element does not fit between them.
    """
    while start < end:
        if end - start < 3:
            raise malformed_file(f"an element is cut off at byte {start}")
        after = start + 3 + int.from_bytes(data[start + 1 : start + 3], "big")
        if after > end:
            raise malformed_file(f"the element at byte {start} is longer than what holds it")
        yield TlvElement(data[start], start, data[start + 3 : after])
        start = after


def decode_text(value: bytes) -> str:
    """Decode a text; the final zero byte is optional, unprintable characters are replaced."""
    text = value.removesuffix(b"\x00").decode("utf-8", "replace")
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def encode_element(tag: int, value: bytes) -> bytes:
    """Encode one element.  Raises ValueError beyond 65535 bytes."""
    if len(value) > 0xFFFF:
        raise ValueError("an element holds at most 65535 bytes")
    return bytes((tag,)) + len(value).to_bytes(2, "big") + value


def encode_text_element(tag: int, text: str) -> bytes:
    """Encode a text element with its zero byte.  Raises ValueError beyond 65535 bytes."""
    return encode_element(tag, text.encode() + b"\x00")


def _header_elements(data: bytes, length: int) -> list[TlvElement]:
    """All elements of a header, each container before its contents; a tag occurs once at most."""
    found: list[TlvElement] = []
    seen: set[int] = set()
    open_until: list[tuple[int, int]] = []
    at = 0
    while at < length:
        while open_until and open_until[-1][1] == at:
            open_until.pop()
        parent, end = open_until[-1] if open_until else (None, length)
        if data[at] == HeaderTag.PADDING and parent is None:
            at += 1
            continue
        one = next(parse_elements(data, at, end))
        if one.tag in seen:
            raise malformed_file(f"element {one.tag} stands there twice")
        if _parent_of(one.tag, parent) != parent:
            raise malformed_file(f"element {one.tag} stands in the wrong place")
        seen.add(one.tag)
        found.append(one)
        at += 3
        if one.tag in _CONTAINERS:
            open_until.append((one.tag, at + len(one.value)))
        else:
            at += len(one.value)
    if any(end != length for _, end in open_until):
        raise malformed_file("a container is longer than the header")
    return found


def _parent_of(tag: int, parent: int | None) -> int | None:
    """The container that an element belongs to; an unknown element may be in any."""
    try:
        return _PARENT.get(HeaderTag(tag))
    except ValueError:
        return parent


class _HeaderValues:
    """The values of a header by tag; every method checks lengths and raises FileRefused."""

    def __init__(self, found: list[TlvElement]) -> None:
        self._found = {one.tag: one for one in found}

    def __contains__(self, tag: HeaderTag) -> bool:
        return tag in self._found

    def value(self, tag: HeaderTag, *sizes: int) -> bytes:
        """The value, which must be present and have one of the sizes, if any are given."""
        if tag not in self._found:
            raise malformed_file(f"{tag.name} is missing")
        value = self._found[tag].value
        if sizes and len(value) not in sizes:
            raise malformed_file(f"{tag.name} has {len(value)} bytes")
        return value

    def offset(self, tag: HeaderTag) -> int:
        """The offset of the tag byte."""
        return self._found[tag].offset

    def number(self, tag: HeaderTag, size: int) -> int:
        """An unsigned big-endian number of `size` bytes."""
        return int.from_bytes(self.value(tag, size), "big")

    def pair(self, tag: HeaderTag) -> tuple[int, int]:
        """A version: two bytes, major and minor."""
        major, minor = self.value(tag, 2)
        return major, minor

    def digest(self, tag: HeaderTag) -> FileHashAlgorithm:
        """A hash algorithm, whose code must be known."""
        code = self.number(tag, 1)
        try:
            return FileHashAlgorithm(code)
        except ValueError:
            raise malformed_file(f"{tag.name} {code} is unknown") from None


def _signer(values: _HeaderValues) -> SignerId:
    serial = values.value(HeaderTag.SERIAL_NUMBER)
    if not 0 < len(serial) <= 64:
        raise malformed_file(f"SERIAL_NUMBER has {len(serial)} bytes")
    return SignerId(
        subject=decode_text(values.value(HeaderTag.SIGNER_NAME)),
        issuer=decode_text(values.value(HeaderTag.ISSUER_NAME)),
        serial=int.from_bytes(serial, "big"),
    )


def _content_key(values: _HeaderValues) -> ContentKey | None:
    if HeaderTag.ENCRYPTION_INFO not in values:
        return None
    if HeaderTag.ENCRYPTED_KEY not in values:
        raise FileRefused(
            FileRefusalReason.CANNOT_DECRYPT,
            "the file is encrypted with a symmetric key that was typed into CUCM: such files"
            " cannot be opened here; have the device use its certificate (LSC) instead",
        )
    wrapped = values.value(HeaderTag.ENCRYPTED_KEY)
    if values.number(HeaderTag.KEY_SIZE, 2) != 8 * len(wrapped):
        raise malformed_file("KEY_SIZE differs from the length of ENCRYPTED_KEY")
    if (padding := values.number(HeaderTag.PADDING_LENGTH, 2)) > 16:
        raise malformed_file(f"PADDING_LENGTH is {padding}")
    digest = values.digest(HeaderTag.ENCRYPTION_DIGEST_ALGORITHM)
    return ContentKey(
        iv=values.value(HeaderTag.IV, 16),
        padding=padding,
        wrapped_key=wrapped,
        digest=digest,
        digest_value=values.value(HeaderTag.ENCRYPTION_DIGEST, {1: 20, 2: 32, 3: 64}[digest]),
    )


def _file_name(values: _HeaderValues) -> str:
    name = values.value(HeaderTag.FILENAME)
    text = decode_text(name)
    if not name.endswith(b"\x00") or not _FILE_NAME.fullmatch(text):
        raise malformed_file("FILENAME is no name of a file")
    return text


def header_length(data: bytes) -> int:
    """The length that the header states.

    Raises FileRefused: TOO_LARGE, NOT_SIGNED, or MALFORMED.
    """
    if len(data) > LARGEST_FILE:
        raise FileRefused(
            FileRefusalReason.TOO_LARGE,
            f"the file has {len(data)} bytes; {LARGEST_FILE} are the most",
        )
    if not data.startswith(_HEADER_STARTS):
        raise FileRefused(
            FileRefusalReason.NOT_SIGNED, "the file is not signed: it has no signature header"
        )
    if len(data) < 10 or data[5:8] != b"\x02\x00\x02":
        raise malformed_file("HEADER_LENGTH is not the second element")
    length = int.from_bytes(data[8:10], "big")
    if not 10 <= length <= len(data):
        raise malformed_file(f"a header of {length} bytes in a file of {len(data)}")
    return length


def parse_header(data: bytes) -> FileHeader:
    """Parse the header of a trust list or a signed file; does not verify its signature.

    VERSION and HEADER_LENGTH must come first, the order of the other elements is free, unknown
    ones are skipped.  Takes time linear in the header's length.  Raises only FileRefused.
    """
    length = header_length(data)
    found = _header_elements(data, length)
    values = _HeaderValues(found)
    code = values.number(HeaderTag.SIGNATURE_MODULUS, 1)
    if values.number(HeaderTag.SIGNATURE_ALGORITHM, 1) != 0 or code not in _MODULUS_BYTES:
        raise malformed_file("its signature is of an unknown kind, not RSA of a known key size")
    signature = values.value(HeaderTag.SIGNATURE, _MODULUS_BYTES[code])
    stamped = HeaderTag.TIMESTAMP in values
    return FileHeader(
        version=values.pair(HeaderTag.VERSION),
        length=length,
        signer_version=values.pair(HeaderTag.SIGNER_VERSION)
        if HeaderTag.SIGNER_VERSION in values
        else None,
        signer=_signer(values),
        digest=values.digest(HeaderTag.DIGEST_ALGORITHM),
        modulus_bytes=len(signature),
        signature=signature,
        signature_offset=values.offset(HeaderTag.SIGNATURE),
        filename=_file_name(values),
        timestamp=values.number(HeaderTag.TIMESTAMP, 4) if stamped else None,
        content_key=_content_key(values),
        elements=tuple(found),
    )


@dataclass(frozen=True, slots=True)
class FileHeaderFields:
    """The header fields that a writer chooses; the others follow from these and the signer."""

    version: tuple[int, int]
    filename: str
    timestamp: int
    digest: FileHashAlgorithm = FileHashAlgorithm.SHA_512
    signer_version: tuple[int, int] | None = None
    content_key: ContentKey | None = None


def _encryption(key: ContentKey) -> bytes:
    iv_info = (
        encode_element(HeaderTag.CONTENT_CIPHER, b"\x00")
        + encode_element(HeaderTag.IV, key.iv)
        + encode_element(HeaderTag.PADDING_LENGTH, key.padding.to_bytes(2, "big"))
    )
    key_info = (
        encode_element(HeaderTag.KEY_FORM, b"\x00")
        + encode_element(HeaderTag.KEY_SIZE, (8 * len(key.wrapped_key)).to_bytes(2, "big"))
        + encode_element(HeaderTag.KEY_ALGORITHM, b"\x01")
        + encode_element(HeaderTag.ENCRYPTED_KEY, key.wrapped_key)
    )
    return (
        encode_element(
            HeaderTag.ENCRYPTION_INFO,
            encode_element(HeaderTag.IV_INFO, iv_info)
            + encode_element(HeaderTag.KEY_INFO, key_info),
        )
        + encode_element(HeaderTag.ENCRYPTION_DIGEST_ALGORITHM, bytes((key.digest,)))
        + encode_element(HeaderTag.ENCRYPTION_DIGEST, key.digest_value)
    )


def unsigned_header(
    fields: FileHeaderFields, signer: SignerId, *, modulus_bytes: int
) -> tuple[bytes, bytes]:
    """Encode the header's bytes before and after the SIGNATURE element.

    HEADER_LENGTH already counts that element.  Raises ValueError for a key size that the format
    has no code for, or a header of more than 65535 bytes.
    """
    if modulus_bytes not in _MODULUS_CODES:
        raise ValueError(f"the format has no code for RSA keys of {8 * modulus_bytes} bits")
    serial = signer.serial.to_bytes(max(1, (signer.serial.bit_length() + 7) // 8), "big")
    signer_id = (
        encode_text_element(HeaderTag.SIGNER_NAME, signer.subject)
        + encode_text_element(HeaderTag.ISSUER_NAME, signer.issuer)
        + encode_element(HeaderTag.SERIAL_NUMBER, serial)
    )
    algorithm = encode_element(HeaderTag.SIGNATURE_ALGORITHM, b"\x00") + encode_element(
        HeaderTag.SIGNATURE_MODULUS, bytes((_MODULUS_CODES[modulus_bytes],))
    )
    info = encode_element(HeaderTag.DIGEST_ALGORITHM, bytes((fields.digest,))) + encode_element(
        HeaderTag.SIGNATURE_ALGORITHM_INFO, algorithm
    )
    version = fields.signer_version
    before = (
        (b"" if version is None else encode_element(HeaderTag.SIGNER_VERSION, bytes(version)))
        + encode_element(HeaderTag.SIGNER_ID, signer_id)
        + encode_element(HeaderTag.SIGNATURE_INFO, info)
    )
    after = encode_text_element(HeaderTag.FILENAME, fields.filename) + encode_element(
        HeaderTag.TIMESTAMP, fields.timestamp.to_bytes(4, "big")
    )
    if fields.content_key is not None:
        after += _encryption(fields.content_key)
    length = 10 + len(before) + 3 + modulus_bytes + len(after)
    padding = -length % 4
    if length + padding > _LARGEST_HEADER:
        raise ValueError("the header is longer than 65535 bytes")
    start = encode_element(HeaderTag.VERSION, bytes(fields.version)) + encode_element(
        HeaderTag.HEADER_LENGTH, (length + padding).to_bytes(2, "big")
    )
    return start + before, after + bytes((HeaderTag.PADDING,)) * padding
