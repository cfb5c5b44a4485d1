"""The grammar of RFC 3261 section 25, as regular expressions and the few scanners they need.

No input makes a pattern take more than linear time: each is written with possessive quantifiers
and used with `match` or `fullmatch` at a known position.  One that is searched for begins with a
literal, since a search begins anew at every character, and blanks in front would be read anew from
each of them.  What is more lenient here than in the RFC is said where it stands, with the reason.
This file knows no header.
"""

from __future__ import annotations

import re
from typing import TypeAlias

from softphone.errors import LocalProtocolError, SoftphoneError

Parameters: TypeAlias = tuple[tuple[str, str | None], ...]
"""Parameters in order, each a name and its value as it is written (quotes and escapes included);
the value None is a parameter without "="."""


class MalformedMessage(SoftphoneError):
    """A text that the grammar does not allow.

    `reason` says what is wrong and quotes nothing of the text, so that it may stand in a Reason-
    Phrase (RFC 3261 section 21.4.1) and in a log; `status_hint` is what a UAS should answer.
    """

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

# hostname = *( domainlabel "." ) toplabel [ "." ]: lenient, for "_" is common in private names and
# nothing is decided by it: the resolver has the last word.
# IPv6reference = "[" IPv6address "]": the address itself is checked where it is parsed.
HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9\-._]*+)|\[[0-9A-Fa-f:.]++\])"

# generic-param = token [ EQUAL gen-value ]; gen-value = token / host / quoted-string
# Lenient: an unquoted value may hold any visible ASCII but the delimiters, since tags and
# identifiers in base64 are common on the wire; it is never interpreted, only compared and echoed.
_VALUE = r"[!#-+\--:=?-~]++"
PARAMETERS = (
    rf"(?:[ \t]*+;[ \t]*+{TOKEN}(?:[ \t]*+=[ \t]*+(?:{QUOTED_STRING}|{_VALUE}))?+)*+[ \t]*+"
)
# Searched for: the blanks around are left to the search, which passes over each once.
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
    """The value of 1*DIGIT, or None when it is something else or above `maximum`.

    Leading zeros are allowed (RFC 4475 section 3.1.1.1); other scripts' digits, signs and
    underscores, which int() takes, are not.
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
    """`text` as a quoted-string (RFC 3261 section 25.1).

    Raises LocalProtocolError for a line break, which no quoted-string can hold.
    """
    if "\r" in text or "\n" in text:
        raise LocalProtocolError("a quoted string cannot hold a line break")
    return '"' + _TO_ESCAPE.sub(r"\\\1", text) + '"'


def unquote(raw: str) -> str:
    """The text of a quoted-string; anything else is returned as it is."""
    if raw[:1] != '"':
        return raw
    inner = raw[1:-1]
    return _ESCAPED.sub(r"\1", inner) if "\\" in inner else inner


def split_commas(text: str) -> list[str]:
    """The elements of a comma-separated list, stripped (RFC 3261 section 7.3.1).

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
    """The parameters of a text that matched `PARAMETERS` (RFC 3261 section 7.3.1).

    Raises MalformedMessage for a name that stands twice with two values.
    """
    found = repeatable_parameters(text)
    return unique_parameters(found) if len(found) > 1 else found


def repeatable_parameters(text: str) -> Parameters:
    """The parameters of a text that matched `PARAMETERS`, names that stand twice included."""
    if not text:
        return ()
    # No value is empty, so what findall gives for an absent one is not ambiguous.
    return tuple([(name, value or None) for name, value in _PARAMETER.findall(text)])


def unique_parameters(parameters: Parameters) -> Parameters:
    """`parameters` themselves, which hold no name twice with different values.

    RFC 3261 sections 7.3.1 and 19.1.1 forbid any repetition; an exact one is harmless and is
    seen in Record-Route.  Raises MalformedMessage.
    """
    seen: dict[str, str | None] = {}
    for name, value in parameters:
        if seen.setdefault(name.lower(), value) != value:
            raise MalformedMessage("Parameter given twice")
    return parameters


def find_parameter(parameters: Parameters, name: str) -> str | None:
    """The unquoted value of a parameter, "" when it has none, None when it is absent."""
    for key, value in parameters:
        if key == name or key.lower() == name:
            return "" if value is None else unquote(value)
    return None


def set_parameter(parameters: Parameters, name: str, value: str | None) -> Parameters:
    """`parameters` with `name` set to the plain `value`, quoted when it has to be."""
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
    """`parameters` without `name`."""
    lowered = name.lower()
    return tuple(item for item in parameters if item[0].lower() != lowered)


def format_parameters(parameters: Parameters) -> str:
    """`;name=value;name`, or the empty text."""
    if not parameters:
        return ""
    return "".join([f";{k}" if v is None else f";{k}={v}" for k, v in parameters])
