"""Messages of CUCM's Trust Verification Service: encoding, and framing of a byte stream.

A header of ten bytes (protocol, version, command, 0, session id, length), then elements: one byte
of tag, two of length, value; big-endian.  The format has no public specification.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum

from softphone.trust.lists import FileRefused, encode_element, parse_elements

LONGEST_TTL = 2_592_000
"""Longest time to keep an answer, in seconds (30 days)."""

_HEADER_LENGTH = 10
_PROTOCOL, _VERSION = 0x57, 1
_NAME_FORM = b"\x01"
_DEVICE_NAME = re.compile(rb"CP-[0-9]{4}-SEP[0-9A-F]{12}")
_HARDWARE = re.compile(r"SEP[0-9A-F]{12}")
_LARGEST = 16_384


class MalformedTvsMessage(ValueError):
    """The bytes are no TVS message, or not the expected one."""


class TvsCommand(IntEnum):
    """Commands of the header."""

    VERIFY_REQUEST = 1
    VERIFY_RESPONSE = 2


class _TvsTag(IntEnum):
    DEVICE_NAME = 1
    CERTIFICATE = 2
    STATUS = 7
    ROLES = 8
    TTL = 9


@dataclass(frozen=True, slots=True)
class TvsMessage:
    """One message; `body` holds the encoded elements, `session` is the client's number."""

    command: int
    session: int
    body: bytes

    def encode(self) -> bytes:
        """The message in bytes."""
        head = bytes((_PROTOCOL, _VERSION, self.command, 0))
        return head + self.session.to_bytes(4, "big") + encode_element(0, self.body)[1:]


@dataclass(frozen=True, slots=True)
class TvsQuestion:
    """A device's question whether a certificate (DER) is known."""

    device_name: str
    certificate: bytes

    def message(self, session: int) -> TvsMessage:
        """The VERIFY_REQUEST.  Raises ValueError for a name not in ASCII or an element too long."""
        body = encode_element(_TvsTag.DEVICE_NAME, _NAME_FORM + self.device_name.encode("ascii"))
        return TvsMessage(
            TvsCommand.VERIFY_REQUEST,
            session,
            body + encode_element(_TvsTag.CERTIFICATE, self.certificate),
        )


@dataclass(frozen=True, slots=True)
class TvsAnswer:
    """Whether a certificate is known, its roles, and how long to keep that (`ttl`, seconds)."""

    valid: bool
    roles: tuple[int, ...] = ()
    ttl: int = 0

    def message(self, session: int) -> TvsMessage:
        """The VERIFY_RESPONSE.  Raises ValueError or OverflowError for what does not fit."""
        body = encode_element(_TvsTag.STATUS, b"\x00" if self.valid else b"\x01")
        if self.valid:
            body += encode_element(_TvsTag.ROLES, bytes(self.roles))
            body += encode_element(_TvsTag.TTL, self.ttl.to_bytes(4, "big"))
        return TvsMessage(TvsCommand.VERIFY_RESPONSE, session, body)


def tvs_device_name(device: str, model: int, installation: str) -> str:
    """The name of a device in the form that TVS servers expect: "CP-8845-SEP001122334455".

    A server closes without an answer on any other form.  A soft phone therefore sends the twelve
    hexadecimal digits of its `installation`, which its +sip.instance holds as well.  `model` is a
    product number; one of more than four digits does not fit and becomes 0000.
    """
    number = model if 0 <= model <= 9999 else 0
    hardware = device.upper()
    name = hardware if _HARDWARE.fullmatch(hardware) else f"SEP{installation.upper()}"
    return f"CP-{number:04}-{name}"


class TvsFramer:
    """Assembles one message from a byte stream; refuses bytes after it."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> TvsMessage | None:
        """Add bytes; returns the message once it is complete.  Raises MalformedTvsMessage."""
        if len(self._pending) + len(data) > _HEADER_LENGTH + _LARGEST:
            raise MalformedTvsMessage("the message is too long")
        self._pending += data
        pending = bytes(self._pending[:_HEADER_LENGTH])
        start = bytes((_PROTOCOL, _VERSION))
        if not start.startswith(pending[:2]):
            raise MalformedTvsMessage("no TVS message of version 1")
        if len(pending) < _HEADER_LENGTH:
            return None
        length = int.from_bytes(pending[8:10], "big")
        if length > _LARGEST or len(self._pending) > _HEADER_LENGTH + length:
            raise MalformedTvsMessage("the message is too long")
        if len(self._pending) < _HEADER_LENGTH + length:
            return None
        body = bytes(self._pending[_HEADER_LENGTH:])
        return TvsMessage(pending[2], int.from_bytes(pending[4:8], "big"), body)


def _values(message: TvsMessage, command: TvsCommand) -> dict[int, bytes]:
    if message.command != command:
        raise MalformedTvsMessage(f"command {message.command} came, and {command.name} was due")
    values: dict[int, bytes] = {}
    try:
        for one in parse_elements(message.body, 0, len(message.body)):
            if one.tag in values:
                raise MalformedTvsMessage(f"element {one.tag} stands there twice")
            values[one.tag] = one.value
    except FileRefused as exc:
        raise MalformedTvsMessage("its elements do not fit its length") from exc
    return values


def read_question(message: TvsMessage) -> TvsQuestion:
    """Parse a VERIFY_REQUEST.  Raises MalformedTvsMessage."""
    values = _values(message, TvsCommand.VERIFY_REQUEST)
    name = values.get(_TvsTag.DEVICE_NAME, b"")
    text = name.removeprefix(_NAME_FORM)
    if not name.startswith(_NAME_FORM) or not _DEVICE_NAME.fullmatch(text):
        raise MalformedTvsMessage("it has no device name such as CP-8845-SEP001122334455")
    if not values.get(_TvsTag.CERTIFICATE):
        raise MalformedTvsMessage("it has no certificate")
    return TvsQuestion(text.decode("ascii"), values[_TvsTag.CERTIFICATE])


def read_answer(message: TvsMessage) -> TvsAnswer:
    """Parse a VERIFY_RESPONSE; any status but 0 means not valid.  Raises MalformedTvsMessage.

    `ttl` is limited to LONGEST_TTL.
    """
    values = _values(message, TvsCommand.VERIFY_RESPONSE)
    status = values.get(_TvsTag.STATUS, b"")
    if len(status) != 1:
        raise MalformedTvsMessage("it has no status")
    if status != b"\x00":
        return TvsAnswer(valid=False)
    ttl = values.get(_TvsTag.TTL, bytes(4))
    if len(ttl) != 4:
        raise MalformedTvsMessage(f"its time to live has {len(ttl)} bytes")
    seconds = min(int.from_bytes(ttl, "big"), LONGEST_TTL)
    return TvsAnswer(valid=True, roles=tuple(values.get(_TvsTag.ROLES, b"")), ttl=seconds)
