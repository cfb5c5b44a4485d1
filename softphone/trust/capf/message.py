"""CAPF's wire format: Cisco's Certificate Authority Proxy Function, versions 2 and 3.

An 8-byte header (protocol, command, session, length) and elements of tag, length and value, all
big-endian, inside TLS.  Elements are found by their tag, in any order; unknown ones are kept and
ignored.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from types import MappingProxyType

_HEADER = struct.Struct("!BBIH")
_ELEMENT = struct.Struct("!BH")
_PROTOCOL = 0x55
_CONTAINER = struct.Struct("!BHH")
_CONTAINER_TAG = 1
LONGEST_MESSAGE = 16 * 1024
"""Most bytes of elements in a message; one with RSA 4096 certificates has less than 8 KiB."""
LONGEST_SESSION = 64 * 1024
MOST_ELEMENTS = 64


class CapfCommand(IntEnum):
    """Commands.  A REQUEST comes from the server, a RESPONSE from the client."""

    AUTH_REQUEST = 1
    AUTH_RESPONSE = 2
    KEY_GENERATE_REQUEST = 3
    KEY_GENERATE_RESPONSE = 4
    STORE_CERTIFICATE_REQUEST = 9
    STORE_CERTIFICATE_RESPONSE = 10
    FETCH_CERTIFICATE_REQUEST = 11
    FETCH_CERTIFICATE_RESPONSE = 12
    DELETE_CERTIFICATE_REQUEST = 13
    DELETE_CERTIFICATE_RESPONSE = 14
    END_SESSION = 15
    RETRY_LATER = 16
    REQUEST_IN_PROGRESS = 17


class CapfTag(IntEnum):
    """The elements whose meaning is known."""

    REASON = 1
    REASON_INFO = 2
    CERTIFICATE_TYPE = 3
    CERTIFICATE = 4
    SIGNED_DATA = 6
    VERSION = 7
    AUTH_TYPE = 8
    PUBLIC_KEY = 9
    KEY_SIZE = 10
    PASSWORD = 11
    RETRY_DELAY = 12
    DEVICE_NAME = 13
    SUDI_DATA = 16
    KEY_TYPE = 17
    CURVE = 18
    SHA2_SIGNED_DATA = 20


class CapfReason(IntEnum):
    """The reasons whose meaning is known; other values are failures."""

    NOTHING_TO_DO = 0
    DONE = 1
    REFUSED = 7
    UNKNOWN_DEVICE = 9


class CertificateKind(IntEnum):
    """Locally significant (LSC) or manufacturing installed (MIC) certificate."""

    LSC = 1
    MIC = 2


class MalformedCapf(ValueError):
    """The bytes are no CAPF message; the machines of this package catch it."""


@dataclass(frozen=True, slots=True)
class CapfMessage:
    """One message: `elements` by tag, values as on the wire."""

    command: int
    session: int
    elements: Mapping[int, bytes] = field(default_factory=dict)

    def encode(self) -> bytes:
        """Encode the message; send it in one write, since phones stall on two TLS records.

        Raises ValueError when an element, or all of them together, exceed 65535 bytes.
        """
        body = bytearray()
        for tag in sorted(self.elements):
            value = self.elements[tag]
            if len(value) > 0xFFFF:
                raise ValueError(f"element {tag} has {len(value)} bytes")
            body += _ELEMENT.pack(tag, len(value)) + value
        if len(body) > 0xFFFF:
            raise ValueError(f"the elements have {len(body)} bytes")
        return _HEADER.pack(_PROTOCOL, self.command, self.session, len(body)) + bytes(body)

    def number(self, tag: CapfTag) -> int | None:
        """Read an unsigned integer of 1, 2 or 4 bytes; None when the element is absent.

        Raises MalformedCapf for any other length.
        """
        value = self.elements.get(tag)
        if value is None:
            return None
        if len(value) not in (1, 2, 4):
            raise MalformedCapf(f"{tag.name} has {len(value)} bytes, and is a number")
        return int.from_bytes(value, "big")

    def text(self, tag: CapfTag) -> bytes | None:
        """Read a zero-terminated text, without the zero; None when the element is absent.

        Raises MalformedCapf when the zero is missing, or is not the only one.
        """
        value = self.elements.get(tag)
        if value is None:
            return None
        if not value.endswith(b"\0") or value.count(b"\0") != 1:
            raise MalformedCapf(f"{tag.name} does not end in its one zero byte")
        return value[:-1]


def number_element(value: int, size: int = 1) -> bytes:
    """The value of an element that is a number of `size` bytes."""
    return value.to_bytes(size, "big")


def text_element(value: bytes) -> bytes:
    """The value of an element that is a zero-terminated text."""
    return value + b"\0"


def certificate_element(der: bytes, kind: CertificateKind = CertificateKind.LSC) -> bytes:
    """A certificate (DER) in its container."""
    return _CONTAINER.pack(_CONTAINER_TAG, len(der) + 2, kind) + der


def certificate_of(value: bytes) -> bytes:
    """The DER inside a container.  Raises MalformedCapf."""
    if len(value) <= _CONTAINER.size:
        raise MalformedCapf("the certificate's container is too short")
    tag, length, _ = _CONTAINER.unpack_from(value)
    if tag != _CONTAINER_TAG or length != len(value) - 3:
        raise MalformedCapf("the certificate's container contradicts its own length")
    return value[_CONTAINER.size :]


class CapfReader:
    """Makes messages of the pieces of one stream, which it bounds as a whole.

    Every byte is looked at once; what a session may bring is 64 KiB, a message 16 KiB.
    """

    __slots__ = ("_buffer", "_total")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._total = 0

    def feed(self, data: bytes) -> None:
        """Take a piece.  Raises MalformedCapf when the session brings too much."""
        self._total += len(data)
        if self._total > LONGEST_SESSION:
            raise MalformedCapf(f"the session brought more than {LONGEST_SESSION} bytes")
        self._buffer += data

    def next_message(self) -> CapfMessage | None:
        """The next whole message, or None.  Raises MalformedCapf."""
        if self._buffer and self._buffer[0] != _PROTOCOL:
            raise MalformedCapf(f"the protocol is {self._buffer[0]:#04x}, not CAPF's 0x55")
        if len(self._buffer) < _HEADER.size:
            return None
        _, command, session, length = _HEADER.unpack_from(self._buffer)
        if length > LONGEST_MESSAGE:
            raise MalformedCapf(f"a message of {length} bytes is more than {LONGEST_MESSAGE}")
        end = _HEADER.size + length
        if len(self._buffer) < end:
            return None
        body = bytes(self._buffer[_HEADER.size : end])
        del self._buffer[:end]
        return CapfMessage(command, session, MappingProxyType(_elements(body)))


def _elements(body: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = 0
    while at < len(body):
        if len(body) - at < _ELEMENT.size:
            raise MalformedCapf("an element ends within its own head")
        tag, length = _ELEMENT.unpack_from(body, at)
        at += _ELEMENT.size
        if length > len(body) - at:
            raise MalformedCapf(f"element {tag} is longer than its message")
        if tag in found:
            raise MalformedCapf(f"element {tag} comes twice")
        if len(found) == MOST_ELEMENTS:
            raise MalformedCapf(f"a message has more than {MOST_ELEMENTS} elements")
        found[tag] = body[at : at + length]
        at += length
    return found
