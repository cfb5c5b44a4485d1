"""The TLV files of CUCM: the header that trust lists and signed files share, read and written.

One byte of tag, two of length (big-endian), value; some elements open others.  The format has no
public specification: what is read leniently and what is refused is said where it is done.
Nothing is verified here: `trust.envelope` has the cryptography, `trust.trust_list` the trust.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from softphone.errors import TrustRefused

__all__ = [
    "LARGEST_FILE",
    "ContentKey",
    "Digest",
    "Element",
    "FileHeader",
    "FileRefused",
    "HeaderFields",
    "Refusal",
    "SignerId",
    "Tag",
    "element",
    "elements",
    "malformed",
    "parse_header",
    "text_element",
    "text_of",
    "unsigned_header",
]

LARGEST_FILE = 1 << 20
"""Bytes of the largest file that is looked at; phones give up at 64 KiB."""

_LARGEST_HEADER = 0xFFFF
_HEADER_STARTS = b"\x01\x00\x02"
_FILE_NAME = re.compile(r"[A-Za-z0-9_.@+-][A-Za-z0-9_.@+/ -]{0,254}")


class Refusal(StrEnum):
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
    NOT_FOR_US = "not_for_us"
    CANNOT_DECRYPT = "cannot_decrypt"


class FileRefused(TrustRefused):
    """A trust list or a signed file was not accepted; nothing of it has been used.

    `refusal` names the cause; `fingerprint` is the SHA-256 of the signer's certificate, in hex,
    where a person has to compare it.
    """

    def __init__(self, refusal: Refusal, message: str, *, fingerprint: str = "") -> None:
        super().__init__(message)
        self.refusal = refusal
        self.fingerprint = fingerprint


class Tag(IntEnum):
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


class Digest(IntEnum):
    """Codes of the hash algorithms."""

    SHA_1 = 1
    SHA_256 = 2
    SHA_512 = 3

    @property
    def hash_name(self) -> str:
        """As hashlib calls it."""
        return self.name.replace("_", "").lower()


_PARENT = {
    Tag.SIGNER_NAME: Tag.SIGNER_ID,
    Tag.SERIAL_NUMBER: Tag.SIGNER_ID,
    Tag.ISSUER_NAME: Tag.SIGNER_ID,
    Tag.DIGEST_ALGORITHM: Tag.SIGNATURE_INFO,
    Tag.SIGNATURE_ALGORITHM_INFO: Tag.SIGNATURE_INFO,
    Tag.SIGNATURE_ALGORITHM: Tag.SIGNATURE_ALGORITHM_INFO,
    Tag.SIGNATURE_MODULUS: Tag.SIGNATURE_ALGORITHM_INFO,
    Tag.IV_INFO: Tag.ENCRYPTION_INFO,
    Tag.KEY_INFO: Tag.ENCRYPTION_INFO,
    Tag.CONTENT_CIPHER: Tag.IV_INFO,
    Tag.IV: Tag.IV_INFO,
    Tag.PADDING_LENGTH: Tag.IV_INFO,
    Tag.KEY_FORM: Tag.KEY_INFO,
    Tag.KEY_SIZE: Tag.KEY_INFO,
    Tag.KEY_ALGORITHM: Tag.KEY_INFO,
    Tag.ENCRYPTED_KEY: Tag.KEY_INFO,
}
"""In which container an element stands; the others stand in none."""
_CONTAINERS = frozenset(_PARENT.values())
_MODULUS_BYTES = {0: 64, 1: 128, 2: 256, 3: 512}
_MODULUS_CODES = {size: code for code, size in _MODULUS_BYTES.items()}


@dataclass(frozen=True, slots=True)
class Element:
    """One element: its tag, where its tag byte stands in the file, and its value."""

    tag: int
    offset: int
    value: bytes


@dataclass(frozen=True, slots=True)
class SignerId:
    """Who signed: names as text (never to be compared) and the serial number of the certificate."""

    subject: str
    issuer: str
    serial: int


@dataclass(frozen=True, slots=True)
class ContentKey:
    """How the body of an encrypted file is opened.

    `wrapped_key` is the content key under the device's RSA key, `iv` of 16 bytes, `padding` the
    number of bytes after the text, `digest` and `digest_value` the hash of the text.
    """

    iv: bytes
    padding: int
    wrapped_key: bytes
    digest: Digest
    digest_value: bytes


@dataclass(frozen=True, slots=True)
class FileHeader:
    """The header of a trust list or a signed file.

    `length` is where records or body begin; `timestamp` is in Unix seconds or None;
    `modulus_bytes` is the length of the signer's key.
    """

    version: tuple[int, int]
    length: int
    signer_version: tuple[int, int] | None
    signer: SignerId
    digest: Digest
    modulus_bytes: int
    signature: bytes
    signature_offset: int
    filename: str
    timestamp: int | None
    content_key: ContentKey | None
    elements: tuple[Element, ...]

    def signed_bytes(self, data: bytes) -> bytes:
        """The bytes that the signature covers: the whole file without the SIGNATURE element."""
        after = self.signature_offset + 3 + len(self.signature)
        return data[: self.signature_offset] + data[after:]


def malformed(what: str) -> FileRefused:
    """The refusal of a file whose form is wrong."""
    return FileRefused(Refusal.MALFORMED, f"the file is malformed: {what}")


def elements(data: bytes, start: int, end: int) -> Iterator[Element]:
    """The elements between two offsets, one after the other, none of them opened.

    Raises FileRefused when one of them does not end where the others begin.
    """
    while start < end:
        if end - start < 3:
            raise malformed(f"an element is cut off at byte {start}")
        after = start + 3 + int.from_bytes(data[start + 1 : start + 3], "big")
        if after > end:
            raise malformed(f"the element at byte {start} is longer than what holds it")
        yield Element(data[start], start, data[start + 3 : after])
        start = after


def text_of(value: bytes) -> str:
    """A text that ends with a zero byte (which some writers leave out), made printable."""
    text = value.removesuffix(b"\x00").decode("utf-8", "replace")
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def element(tag: int, value: bytes) -> bytes:
    """One element in bytes.  Raises ValueError beyond 65535 bytes."""
    if len(value) > 0xFFFF:
        raise ValueError("an element holds at most 65535 bytes")
    return bytes((tag,)) + len(value).to_bytes(2, "big") + value


def text_element(tag: int, text: str) -> bytes:
    """A text with its zero byte.  Raises ValueError beyond 65535 bytes."""
    return element(tag, text.encode() + b"\x00")


def _header_elements(data: bytes, length: int) -> list[Element]:
    """All elements of a header, containers followed by what they hold; each tag at most once."""
    found: list[Element] = []
    seen: set[int] = set()
    open_until: list[tuple[int, int]] = []
    at = 0
    while at < length:
        while open_until and open_until[-1][1] == at:
            open_until.pop()
        parent, end = open_until[-1] if open_until else (None, length)
        if data[at] == Tag.PADDING and parent is None:
            at += 1
            continue
        one = next(elements(data, at, end))
        if one.tag in seen:
            raise malformed(f"element {one.tag} stands there twice")
        if _parent_of(one.tag, parent) != parent:
            raise malformed(f"element {one.tag} stands in the wrong place")
        seen.add(one.tag)
        found.append(one)
        at += 3
        if one.tag in _CONTAINERS:
            open_until.append((one.tag, at + len(one.value)))
        else:
            at += len(one.value)
    if any(end != length for _, end in open_until):
        raise malformed("a container is longer than the header")
    return found


def _parent_of(tag: int, parent: int | None) -> int | None:
    """Where the element belongs; one that nobody knows may stand anywhere."""
    try:
        return _PARENT.get(Tag(tag))
    except ValueError:
        return parent


class _Values:
    """The values of a header by tag, with the checks of their lengths."""

    def __init__(self, found: list[Element]) -> None:
        self._found = {one.tag: one for one in found}

    def __contains__(self, tag: Tag) -> bool:
        return tag in self._found

    def value(self, tag: Tag, *sizes: int) -> bytes:
        """The value, which must be there, and of one of the sizes."""
        if tag not in self._found:
            raise malformed(f"{tag.name} is missing")
        value = self._found[tag].value
        if sizes and len(value) not in sizes:
            raise malformed(f"{tag.name} has {len(value)} bytes")
        return value

    def offset(self, tag: Tag) -> int:
        """Where the tag byte stands."""
        return self._found[tag].offset

    def number(self, tag: Tag, size: int) -> int:
        """An unsigned number of so many bytes."""
        return int.from_bytes(self.value(tag, size), "big")

    def pair(self, tag: Tag) -> tuple[int, int]:
        """Two bytes, as versions are."""
        major, minor = self.value(tag, 2)
        return major, minor

    def digest(self, tag: Tag) -> Digest:
        """A known code of a hash algorithm."""
        code = self.number(tag, 1)
        try:
            return Digest(code)
        except ValueError:
            raise malformed(f"{tag.name} {code} is unknown") from None


def _signer(values: _Values) -> SignerId:
    serial = values.value(Tag.SERIAL_NUMBER)
    if not 0 < len(serial) <= 64:
        raise malformed(f"SERIAL_NUMBER has {len(serial)} bytes")
    return SignerId(
        subject=text_of(values.value(Tag.SIGNER_NAME)),
        issuer=text_of(values.value(Tag.ISSUER_NAME)),
        serial=int.from_bytes(serial, "big"),
    )


def _content_key(values: _Values) -> ContentKey | None:
    if Tag.ENCRYPTION_INFO not in values:
        return None
    if Tag.ENCRYPTED_KEY not in values:
        raise FileRefused(
            Refusal.CANNOT_DECRYPT,
            "the file is encrypted with a symmetric key that was typed into CUCM: such files"
            " cannot be opened here; have the device use its certificate (LSC) instead",
        )
    wrapped = values.value(Tag.ENCRYPTED_KEY)
    if values.number(Tag.KEY_SIZE, 2) != 8 * len(wrapped):
        raise malformed("KEY_SIZE differs from the length of ENCRYPTED_KEY")
    if (padding := values.number(Tag.PADDING_LENGTH, 2)) > 16:
        raise malformed(f"PADDING_LENGTH is {padding}")
    digest = values.digest(Tag.ENCRYPTION_DIGEST_ALGORITHM)
    return ContentKey(
        iv=values.value(Tag.IV, 16),
        padding=padding,
        wrapped_key=wrapped,
        digest=digest,
        digest_value=values.value(Tag.ENCRYPTION_DIGEST, {1: 20, 2: 32, 3: 64}[digest]),
    )


def _file_name(values: _Values) -> str:
    name = values.value(Tag.FILENAME)
    text = text_of(name)
    if not name.endswith(b"\x00") or not _FILE_NAME.fullmatch(text):
        raise malformed("FILENAME is no name of a file")
    return text


def header_length(data: bytes) -> int:
    """Where the header ends, by its own word.  Raises FileRefused (NOT_SIGNED, TOO_LARGE...)."""
    if len(data) > LARGEST_FILE:
        raise FileRefused(
            Refusal.TOO_LARGE, f"the file has {len(data)} bytes; {LARGEST_FILE} are the most"
        )
    if not data.startswith(_HEADER_STARTS):
        raise FileRefused(Refusal.NOT_SIGNED, "the file is not signed: it has no signature header")
    if len(data) < 10 or data[5:8] != b"\x02\x00\x02":
        raise malformed("HEADER_LENGTH is not the second element")
    length = int.from_bytes(data[8:10], "big")
    if not 10 <= length <= len(data):
        raise malformed(f"a header of {length} bytes in a file of {len(data)}")
    return length


def parse_header(data: bytes) -> FileHeader:
    """The header of a trust list or a signed file; its signature is not verified.

    VERSION and HEADER_LENGTH must come first, the order of the others is free, unknown ones are
    skipped.  Linear in the header's length.  Raises FileRefused and nothing else.
    """
    length = header_length(data)
    found = _header_elements(data, length)
    values = _Values(found)
    code = values.number(Tag.SIGNATURE_MODULUS, 1)
    if values.number(Tag.SIGNATURE_ALGORITHM, 1) != 0 or code not in _MODULUS_BYTES:
        raise malformed("its signature is of an unknown kind, not RSA of a known key size")
    signature = values.value(Tag.SIGNATURE, _MODULUS_BYTES[code])
    stamped = Tag.TIMESTAMP in values
    return FileHeader(
        version=values.pair(Tag.VERSION),
        length=length,
        signer_version=values.pair(Tag.SIGNER_VERSION) if Tag.SIGNER_VERSION in values else None,
        signer=_signer(values),
        digest=values.digest(Tag.DIGEST_ALGORITHM),
        modulus_bytes=len(signature),
        signature=signature,
        signature_offset=values.offset(Tag.SIGNATURE),
        filename=_file_name(values),
        timestamp=values.number(Tag.TIMESTAMP, 4) if stamped else None,
        content_key=_content_key(values),
        elements=tuple(found),
    )


@dataclass(frozen=True, slots=True)
class HeaderFields:
    """What a writer puts into a header; the rest follows from it and from the signer."""

    version: tuple[int, int]
    filename: str
    timestamp: int
    digest: Digest = Digest.SHA_512
    signer_version: tuple[int, int] | None = None
    content_key: ContentKey | None = None


def _encryption(key: ContentKey) -> bytes:
    iv_info = (
        element(Tag.CONTENT_CIPHER, b"\x00")
        + element(Tag.IV, key.iv)
        + element(Tag.PADDING_LENGTH, key.padding.to_bytes(2, "big"))
    )
    key_info = (
        element(Tag.KEY_FORM, b"\x00")
        + element(Tag.KEY_SIZE, (8 * len(key.wrapped_key)).to_bytes(2, "big"))
        + element(Tag.KEY_ALGORITHM, b"\x01")
        + element(Tag.ENCRYPTED_KEY, key.wrapped_key)
    )
    return (
        element(
            Tag.ENCRYPTION_INFO, element(Tag.IV_INFO, iv_info) + element(Tag.KEY_INFO, key_info)
        )
        + element(Tag.ENCRYPTION_DIGEST_ALGORITHM, bytes((key.digest,)))
        + element(Tag.ENCRYPTION_DIGEST, key.digest_value)
    )


def unsigned_header(
    fields: HeaderFields, signer: SignerId, *, modulus_bytes: int
) -> tuple[bytes, bytes]:
    """What stands before and after the SIGNATURE element, its length already counted.

    Raises ValueError for a key of a size that the format has no code for, or too long a header.
    """
    if modulus_bytes not in _MODULUS_CODES:
        raise ValueError(f"the format has no code for RSA keys of {8 * modulus_bytes} bits")
    serial = signer.serial.to_bytes(max(1, (signer.serial.bit_length() + 7) // 8), "big")
    signer_id = (
        text_element(Tag.SIGNER_NAME, signer.subject)
        + text_element(Tag.ISSUER_NAME, signer.issuer)
        + element(Tag.SERIAL_NUMBER, serial)
    )
    algorithm = element(Tag.SIGNATURE_ALGORITHM, b"\x00") + element(
        Tag.SIGNATURE_MODULUS, bytes((_MODULUS_CODES[modulus_bytes],))
    )
    info = element(Tag.DIGEST_ALGORITHM, bytes((fields.digest,))) + element(
        Tag.SIGNATURE_ALGORITHM_INFO, algorithm
    )
    version = fields.signer_version
    before = (
        (b"" if version is None else element(Tag.SIGNER_VERSION, bytes(version)))
        + element(Tag.SIGNER_ID, signer_id)
        + element(Tag.SIGNATURE_INFO, info)
    )
    after = text_element(Tag.FILENAME, fields.filename) + element(
        Tag.TIMESTAMP, fields.timestamp.to_bytes(4, "big")
    )
    if fields.content_key is not None:
        after += _encryption(fields.content_key)
    length = 10 + len(before) + 3 + modulus_bytes + len(after)
    padding = -length % 4
    if length + padding > _LARGEST_HEADER:
        raise ValueError("the header is longer than 65535 bytes")
    start = element(Tag.VERSION, bytes(fields.version)) + element(
        Tag.HEADER_LENGTH, (length + padding).to_bytes(2, "big")
    )
    return start + before, after + bytes((Tag.PADDING,)) * padding
