"""The packets of TFTP (RFC 1350 section 5), with the option extension (RFC 2347).

Every packet type is an immutable value.  Parsing raises only `MalformedTftpPacket`.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeAlias

_RRQ, _WRQ, _DATA, _ACK, _ERROR, _OACK = range(1, 7)
_MOST_OPTIONS = 16
_LARGEST_REQUEST = 512  # RFC 2347: the whole request


class MalformedTftpPacket(ValueError):
    """The bytes are no TFTP packet."""


class TftpErrorCode(IntEnum):
    """Error codes of RFC 1350 (appendix) and RFC 2347 (8)."""

    NOT_DEFINED = 0
    FILE_NOT_FOUND = 1
    ACCESS_VIOLATION = 2
    DISK_FULL = 3
    ILLEGAL_OPERATION = 4
    UNKNOWN_TRANSFER_ID = 5
    FILE_ALREADY_EXISTS = 6
    NO_SUCH_USER = 7
    OPTION_REFUSED = 8


@dataclass(frozen=True, slots=True)
class RequestPacket:
    """A read request (RRQ), or a write request (WRQ) when `write`; option names in lower case."""

    name: str
    mode: str = "octet"
    options: Mapping[str, str] = field(default_factory=dict)
    write: bool = False

    def encode(self) -> bytes:
        """The packet's bytes."""
        texts = [self.name, self.mode, *_flat(self.options)]
        return struct.pack("!H", _WRQ if self.write else _RRQ) + _terminated(texts)


@dataclass(frozen=True, slots=True)
class DataPacket:
    """One block (DATA); a block shorter than the block size is the last."""

    block: int
    data: bytes = field(repr=False)

    def encode(self) -> bytes:
        """The packet's bytes."""
        return struct.pack("!HH", _DATA, self.block) + self.data


@dataclass(frozen=True, slots=True)
class AckPacket:
    """Acknowledges a block (ACK), and so all blocks before it."""

    block: int

    def encode(self) -> bytes:
        """The packet's bytes."""
        return struct.pack("!HH", _ACK, self.block)


@dataclass(frozen=True, slots=True)
class ErrorPacket:
    """Ends a transfer (ERROR); it is never answered."""

    code: int
    message: str = ""

    def encode(self) -> bytes:
        """The packet's bytes."""
        return struct.pack("!HH", _ERROR, self.code) + _terminated([self.message])

    @property
    def words(self) -> str:
        """The code's name and number, and the peer's message."""
        known = self.code in tuple(TftpErrorCode)
        name = TftpErrorCode(self.code).name.lower().replace("_", " ") if known else "error"
        return f"{name} ({self.code})" + (f": {self.message}" if self.message else "")


@dataclass(frozen=True, slots=True)
class OackPacket:
    """The options that the server accepts (OACK, RFC 2347)."""

    options: Mapping[str, str]

    def encode(self) -> bytes:
        """The packet's bytes."""
        return struct.pack("!H", _OACK) + _terminated(_flat(self.options))


TftpPacket: TypeAlias = RequestPacket | DataPacket | AckPacket | ErrorPacket | OackPacket


def _flat(options: Mapping[str, str]) -> list[str]:
    return [text for pair in options.items() for text in pair]


def _terminated(texts: list[str]) -> bytes:
    return b"".join(text.encode("utf-8", "replace") + b"\0" for text in texts)


def parse_tftp_packet(data: bytes) -> TftpPacket:
    """Parse one datagram.  Raises only MalformedTftpPacket."""
    if len(data) < 4:
        raise MalformedTftpPacket("too short")
    kind, number = struct.unpack_from("!HH", data)
    if kind == _DATA:
        return DataPacket(number, data[4:])
    if kind == _ACK:
        return AckPacket(number)
    if kind == _ERROR:
        return ErrorPacket(number, _message(data[4:]))
    if kind in (_RRQ, _WRQ):
        return _request(data[2:], write=kind == _WRQ)
    if kind == _OACK:
        return OackPacket(_options(_texts(data[2:])))
    raise MalformedTftpPacket(f"there is no operation {kind}")


def _message(data: bytes) -> str:
    """The text of an error, at most 200 characters of printable ASCII: it goes to terminals."""
    text = data[:200].partition(b"\0")[0].decode("latin-1")
    return "".join(each if each.isascii() and each.isprintable() else "?" for each in text)


def _texts(data: bytes) -> list[str]:
    if len(data) > _LARGEST_REQUEST or not data.endswith(b"\0"):
        raise MalformedTftpPacket("its texts are too long, or not ended")
    try:
        texts = data[:-1].decode("utf-8").split("\0")
    except UnicodeDecodeError as exc:
        raise MalformedTftpPacket("its texts are no UTF-8") from exc
    if not all(text.isprintable() for text in texts):
        raise MalformedTftpPacket("its texts cannot be printed")
    return texts


def _request(data: bytes, *, write: bool) -> RequestPacket:
    name, *rest = _texts(data)
    if not name or not rest:
        raise MalformedTftpPacket("a request without name or mode")
    return RequestPacket(name, rest[0].lower(), _options(rest[1:]), write)


def _options(texts: list[str]) -> dict[str, str]:
    if len(texts) % 2 or len(texts) > 2 * _MOST_OPTIONS:
        raise MalformedTftpPacket("an option without value, or too many of them")
    options: dict[str, str] = {}
    for name, value in zip(texts[::2], texts[1::2], strict=True):
        if name.lower() in options:  # RFC 2347: each at most once
            raise MalformedTftpPacket(f"the option {name[:40]} comes twice")
        options[name.lower()] = value
    return options
