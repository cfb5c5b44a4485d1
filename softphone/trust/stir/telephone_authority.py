"""The TNAuthList of a certificate: the carriers and numbers that it covers.

RFC 8226 section 9.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from softphone.trust.stir.passport import InvalidPassport

MOST_ENTRIES = 256
_SEQUENCE, _INTEGER, _IA5_STRING = 0x30, 0x02, 0x16
_CARRIER, _RANGE, _ONE = 0xA0, 0xA1, 0xA2


@dataclass(frozen=True, slots=True)
class TelephoneAuthority:
    """One entry: a carrier's code (`count` 0), or `count` numbers from `value` on."""

    value: str
    count: int = 0

    def __str__(self) -> str:
        if not self.count:
            return f"SPC {self.value}"
        return self.value if self.count == 1 else f"{self.value} +{self.count}"

    def covers(self, number: str) -> bool:
        """Whether the entry covers a number; a carrier's code covers any."""
        if not self.count:
            return True
        if not (number.isdigit() and self.value.isdigit()) or len(number) != len(self.value):
            return number == self.value
        return 0 <= int(number) - int(self.value) < self.count


def parse_authority_list(der: bytes) -> tuple[TelephoneAuthority, ...]:
    """Read the DER of a TNAuthList.  Raises InvalidPassport."""
    ((tag, body),) = _exactly(der, 1)
    if tag != _SEQUENCE:
        raise InvalidPassport("the list of numbers in its certificate cannot be read")
    found = [_entry(*each) for each in _values(body)]
    if not 0 < len(found) <= MOST_ENTRIES:
        raise InvalidPassport("the list of numbers in its certificate is empty or too long")
    return tuple(found)


def _entry(tag: int, body: bytes) -> TelephoneAuthority:
    """Read a TNEntry, whose choices are tagged explicitly."""
    ((kind, value),) = _exactly(body, 1)
    if tag == _CARRIER and kind == _IA5_STRING:
        return TelephoneAuthority(_text(value))
    if tag == _ONE and kind == _IA5_STRING:
        return TelephoneAuthority(_text(value), 1)
    if tag == _RANGE and kind == _SEQUENCE:
        (first, start), (second, number) = _exactly(value, 2)
        count = int.from_bytes(number, "big", signed=True)
        if (first, second) == (_IA5_STRING, _INTEGER) and len(number) <= 8 and count >= 2:
            return TelephoneAuthority(_text(start), count)
    raise InvalidPassport("the list of numbers in its certificate has an unknown entry")


def _text(value: bytes) -> str:
    text = value.decode("ascii", "replace")
    if not 0 < len(text) <= 32 or not text.isprintable() or not text.isascii():
        raise InvalidPassport("the list of numbers in its certificate has an unreadable entry")
    return text


def _exactly(der: bytes, count: int) -> list[tuple[int, bytes]]:
    found = list(_values(der))
    if len(found) != count:
        raise InvalidPassport("the list of numbers in its certificate has an unreadable entry")
    return found


def _values(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and content of each value of a DER encoding, tags of one octet only."""
    at = 0
    while at < len(der):
        length, start = _length(der, at + 1)
        if start + length > len(der):
            raise InvalidPassport("the list of numbers in its certificate is cut off")
        yield der[at], der[start : start + length]
        at = start + length


def _length(der: bytes, at: int) -> tuple[int, int]:
    """Return a length of at most two octets, and where the content begins."""
    first = der[at] if at < len(der) else 0xFF
    if first < 0x80:
        return first, at + 1
    octets = first & 0x7F
    if octets not in (1, 2) or at + 1 + octets > len(der):
        raise InvalidPassport("the list of numbers in its certificate is cut off")
    return int.from_bytes(der[at + 1 : at + 1 + octets], "big"), at + 1 + octets
