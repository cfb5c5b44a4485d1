"""The grammar of RFC 3261 section 25 as regular expressions, with functions to scan and format.

Every pattern takes linear time on any input: it has possessive quantifiers and is used with
`match` or `fullmatch` at a known position.  A pattern used with `search` or `findall` begins with
a literal: leading blanks would be scanned again from each start position.  Leniency beyond the RFC
is noted at the pattern, with the reason.  Header fields are not known here, only the base of the
values of those with parameters (sections 7.3.1 and 20).
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any, ClassVar, Self, TypeAlias, cast

from softphone.errors import LocalProtocolError, SoftphoneError

Parameters: TypeAlias = tuple[tuple[str, str | None], ...]
"""Parameters in order, each a name and its value as written, with quotes and escapes.

The value None is a parameter without "="."""


class MalformedMessage(SoftphoneError):
    """A text violates the grammar.

    `reason` says what is wrong without quoting the text, so that it is safe in a Reason-Phrase
    (RFC 3261 section 21.4.1) and in a log; `status_hint` is the status that a UAS should answer.
    """

    _hint = "look at the message in the log of softphone.sip: its sender breaks the grammar"

    def __init__(self, reason: str, *, status_hint: int = 400) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status_hint = status_hint


# token = 1*(alphanum / "-" / "." / "!" / "%" / "*" / "_" / "+" / "`" / "'" / "~" )
TOKEN = r"[A-Za-z0-9\-.!%*_+`'~]++"

# quoted-string = SWS DQUOTE *(qdtext / quoted-pair ) DQUOTE
# quoted-pair   = "\" (%x00-09 / %x0B-0C / %x0E-7F)
# The control characters that qdtext excludes are refused for a whole message at once, in parser.py.
QUOTED_STRING = r'"[^"\\\r\n]*+(?:\\[^\r\n][^"\\\r\n]*+)*+"'

# hostname = *( domainlabel "." ) toplabel [ "." ]: lenient, since "_" is common in private names
# and harmless: the resolver decides.
# IPv6reference = "[" IPv6address "]": the address itself is checked where it is parsed.
HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9\-._]*+)|\[[0-9A-Fa-f:.]++\])"

# generic-param = token [ EQUAL gen-value ]; gen-value = token / host / quoted-string
# Lenient: an unquoted value may hold any visible ASCII but the delimiters, since tags and
# identifiers in base64 are common on the wire; it is never interpreted, only compared and echoed.
_VALUE = r"[!#-+\--:=?-~]++"
PARAMETERS = (
    rf"(?:[ \t]*+;[ \t]*+{TOKEN}(?:[ \t]*+=[ \t]*+(?:{QUOTED_STRING}|{_VALUE}))?+)*+[ \t]*+"
)
# Used with `findall`, which skips each blank outside the match once.
_PARAMETER = re.compile(rf";[ \t]*+({TOKEN})(?:[ \t]*+=[ \t]*+({QUOTED_STRING}|{_VALUE}))?+")
_TOKEN = re.compile(TOKEN)
_UNQUOTED_VALUE = re.compile(r"[A-Za-z0-9\-.!%*_+`'~:\[\]]++")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_TO_ESCAPE = re.compile(r'(["\\\x00-\x08\x0b-\x1f\x7f])')
_ITEM = re.compile(rf"(?:[^\",<]++|{QUOTED_STRING}|<[^<>]*+>)*+")


def is_token(text: str) -> bool:
    """Whether `text` is a token (RFC 3261 section 25.1)."""
    return _TOKEN.fullmatch(text) is not None


def digits(text: str, maximum: int) -> int | None:
    """Return the value of 1*DIGIT, or None for any other text and above `maximum`.

    Leading zeros are allowed (RFC 4475 section 3.1.1.1).  Signs, underscores and the digits of
    other scripts, which int() accepts, are not.
    """
    if not (text.isascii() and text.isdigit()):
        return None
    if len(text) > 19:
        text = text.lstrip("0") or "0"
        if len(text) > 19:
            return None
    value = int(text)
    return value if value <= maximum else None


def quote(text: str) -> str:
    """Return `text` as a quoted-string (RFC 3261 section 25.1).

    Raises LocalProtocolError for a line break, which a quoted-string cannot contain.
    """
    if "\r" in text or "\n" in text:
        raise LocalProtocolError("a quoted string cannot hold a line break")
    return '"' + _TO_ESCAPE.sub(r"\\\1", text) + '"'


def unquote(raw: str) -> str:
    """Return the text of a quoted-string; any other text unchanged."""
    if raw[:1] != '"':
        return raw
    inner = raw[1:-1]
    return _ESCAPED.sub(r"\1", inner) if "\\" in inner else inner


def split_commas(text: str) -> list[str]:
    """Split a comma-separated list into stripped elements (RFC 3261 section 7.3.1).

    Commas in quoted strings and in angle brackets do not separate.  Raises MalformedMessage for
    an unterminated quoted string or bracket.
    """
    if '"' not in text and "<" not in text:
        return [item.strip(" \t") for item in text.split(",")]
    items: list[str] = []
    position = 0
    while True:
        match = _ITEM.match(text, position)
        end = match.end() if match else position
        items.append(text[position:end].strip(" \t"))
        if end == len(text):
            return items
        if text[end] != ",":
            raise MalformedMessage("Unterminated quoted string or angle bracket")
        position = end + 1


def parse_parameters(text: str) -> Parameters:
    """Return the parameters of a text that matched `PARAMETERS` (RFC 3261 section 7.3.1).

    Raises MalformedMessage for a name with two different values.
    """
    found: list[tuple[str, str | None]] = []
    seen: dict[str, str | None] = {}
    # findall returns "" for an absent value, and no value that matches is empty.
    for name, written in _PARAMETER.findall(text):
        value = written or None
        if seen.setdefault(name.lower(), value) != value:
            raise MalformedMessage("Parameter given twice")
        found.append((name, value))
    return tuple(found)


def repeatable_parameters(text: str) -> Parameters:
    """Return the parameters of a text that matched `PARAMETERS`, with repeated names."""
    return tuple([(name, value or None) for name, value in _PARAMETER.findall(text)])


def unique_parameters(parameters: Parameters) -> Parameters:
    """Return `parameters`; raises MalformedMessage for a name with two different values.

    RFC 3261 sections 7.3.1 and 19.1.1 forbid any repetition, but an identical one is harmless and
    occurs in Record-Route.
    """
    seen: dict[str, str | None] = {}
    for name, value in parameters:
        if seen.setdefault(name.lower(), value) != value:
            raise MalformedMessage("Parameter given twice")
    return parameters


def find_parameter(parameters: Parameters, name: str) -> str | None:
    """Return the unquoted value of a parameter, "" without a value, None when it is absent.

    `name` is in lower case.
    """
    for key, value in parameters:
        if key == name or key.lower() == name:
            if value is None:
                return ""
            return unquote(value) if value[:1] == '"' else value
    return None


def set_parameter(parameters: Parameters, name: str, value: str | None) -> Parameters:
    """Return `parameters` with `name` set to the plain text `value`, quoted where necessary.

    Replaces the first parameter of that name and drops further ones, or appends a new one.
    """
    if value is not None and _UNQUOTED_VALUE.fullmatch(value) is None:
        value = quote(value)
    lowered = name.lower()
    changed: list[tuple[str, str | None]] = []
    placed = False
    for item in parameters:
        if item[0].lower() != lowered:
            changed.append(item)
        elif not placed:
            placed = True
            changed.append((name, value))
    if not placed:
        changed.append((name, value))
    return tuple(changed)


def drop_parameter(parameters: Parameters, name: str) -> Parameters:
    """Return `parameters` without `name`."""
    lowered = name.lower()
    return tuple([item for item in parameters if item[0].lower() != lowered])


def format_parameters(parameters: Parameters) -> str:
    """Return `parameters` as `;name=value;name`, "" for none."""
    text = ""
    for name, value in parameters:
        text += f";{name}" if value is None else f";{name}={value}"
    return text


class Parameterized(ABC):
    """The base of header field values with parameters: parsing of values and lists, and access.

    A subclass is a frozen dataclass and parses the part before the parameters, whose values are
    as written.
    """

    __slots__ = ()

    KIND: ClassVar[str]
    """The name of the value in error texts."""

    parameters: Parameters

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse one value.  Raises MalformedMessage, also for more than one value."""
        value, end = cls.parse_at(text, 0)
        if end != len(text):
            raise MalformedMessage(f"Malformed {cls.KIND}")
        return value

    @classmethod
    def parse_list(cls, text: str) -> tuple[Self, ...]:
        """Parse a comma-separated list of at least one value.  Raises MalformedMessage."""
        values: list[Self] = []
        position = 0
        while True:
            value, position = cls.parse_at(text, position)
            values.append(value)
            if position == len(text):
                return tuple(values)
            if text[position] != ",":
                raise MalformedMessage(f"Malformed {cls.KIND}")
            position += 1

    @classmethod
    @abstractmethod
    def parse_at(cls, text: str, position: int) -> tuple[Self, int]:
        """Parse the value at `position`; returns it and its end.  Raises MalformedMessage."""

    def parameter(self, name: str) -> str | None:
        """Return the unquoted value of a parameter, "" without a value, None when absent."""
        return find_parameter(self.parameters, name.lower())

    def with_parameter(self, name: str, value: str | None = None) -> Self:
        """Return this value with a parameter set; the plain text `value` is quoted if necessary."""
        return self._with(set_parameter(self.parameters, name, value))

    def without_parameter(self, name: str) -> Self:
        """Return this value without a parameter."""
        return self._with(drop_parameter(self.parameters, name))

    def _with(self, parameters: Parameters) -> Self:
        return cast("Self", replace(cast("Any", self), parameters=parameters))
