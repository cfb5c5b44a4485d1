"""Key press markup: which digits a watcher wants to hear of, and its reports (RFC 4730).

`KpmlWatch` takes the digits that are pressed and gives response bodies.  Patterns are DRegex
(section 5.1): digits, `x`, `[1-3*#]`, `.`, `L`, `{m,n}`, and the modes one-shot, persist and
single-notify.  Timers within a pattern (inter-digit, critical, extra) and `pre` buffering are
not kept: a digit is reported as soon as a pattern matches.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

from softphone.sip.body import Body

__all__ = ["KPML", "KPML_REQUEST", "KPML_RESPONSE", "KpmlPattern", "KpmlWatch", "kpml_request"]

KPML = "kpml"
"""The event package."""
KPML_REQUEST = "application/kpml-request+xml"
KPML_RESPONSE = "application/kpml-response+xml"

_LARGEST = 8192
_MOST_PATTERNS = 16
_LONGEST_PATTERN = 256
_MOST_ELEMENTS = 100
_MOST_DIGITS = 64
_MOST_VARIABLE = 2
"""Parts of one pattern that may repeat differently often: each more would multiply the work."""
_ATOM = re.compile(
    r"(?:(?P<one>[0-9*#A-Da-dxXLl+])|\[(?P<set>\^?[0-9*#A-Da-d+xX-]{1,32})\])"
    r"(?P<times>\.|\{[0-9]{1,2}(?:,[0-9]{0,2})?\})?"
)


@dataclass(frozen=True, slots=True)
class KpmlPattern:
    """One regex element: its tag, and what it matches; `alternatives` are compiled."""

    tag: str
    alternatives: tuple[re.Pattern[str], ...]

    def matches(self, digits: str) -> bool:
        """Whether the digits are just this."""
        return any(one.fullmatch(digits) for one in self.alternatives)


def _compile(text: str) -> re.Pattern[str] | None:
    """One alternative as a regular expression; None for what is not understood ("bs")."""
    text = "".join(text.split())
    position, pieces, variable = 0, [], 0
    while position < len(text):
        match = _ATOM.match(text, position)
        if match is None:
            return None
        one = match["one"]
        if one is None:
            atom = "[" + match["set"].replace("x", "0-9").replace("X", "0-9") + "]"
        else:
            atom = {"x": "[0-9]", "l": ""}.get(one.lower(), re.escape(one.upper()))
        times = match["times"] or ""
        variable += times == "." or "," in times
        if variable > _MOST_VARIABLE or "--" in atom:
            return None
        pieces.append(atom + ("{0,64}" if times == "." else times) if atom else "")
        position = match.end()
    try:
        return re.compile("".join(pieces)) if any(pieces) else None
    except (re.error, OverflowError):
        return None


class _Document:
    """A kpml-request while it is read."""

    def __init__(self) -> None:
        self.persist = "one-shot"
        self.texts: list[tuple[str, list[str]]] = []
        self._inside = False
        self._count = 0

    def read(self, data: bytes) -> bool:
        """False: it is no request that can be followed."""
        parser = expat.ParserCreate("utf-8")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._doctype
        try:
            parser.Parse(data, True)
        except (expat.ExpatError, ValueError):
            return False
        return bool(self.texts)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > _MOST_ELEMENTS or (self._count == 1 and _local(name) != "kpml-request"):
            raise ValueError(name)
        if _local(name) == "pattern":
            self.persist = attributes.get("persist", "one-shot").lower()
        elif _local(name) == "regex":
            if len(self.texts) >= _MOST_PATTERNS:
                raise ValueError("too many patterns")
            self.texts.append((attributes.get("tag", "")[:64], []))
            self._inside = True

    def _end(self, name: str) -> None:
        self._inside = self._inside and _local(name) != "regex"

    def _text(self, text: str) -> None:
        if self._inside:
            self.texts[-1][1].append(text)

    def _doctype(self, *_: object) -> None:
        raise ValueError("a document type may hide entities")


def _local(name: str) -> str:
    return name.rpartition(":")[2]


class KpmlWatch:
    """What one subscription wants to hear of; `over` once there is nothing more to report."""

    def __init__(self, patterns: Sequence[KpmlPattern], *, persist: str) -> None:
        self._patterns = tuple(patterns)
        self._persist = persist
        self._digits = ""
        self.over = False

    @classmethod
    def parse(cls, data: bytes) -> KpmlWatch | None:
        """Read a kpml-request; None for what cannot be followed (answered 400)."""
        document = _Document()
        if len(data) > _LARGEST or not document.read(data):
            return None
        patterns = []
        for tag, pieces in document.texts:
            text = "".join(pieces)
            if len(text) > _LONGEST_PATTERN:
                return None
            compiled = [_compile(one) for one in text.split("|")]
            alternatives = tuple(one for one in compiled if one is not None)
            if alternatives:
                patterns.append(KpmlPattern(tag, alternatives))
        return cls(patterns, persist=document.persist) if patterns else None

    def press(self, digit: str) -> Body | None:
        """A digit was pressed: the report it leads to, or None."""
        if self.over:
            return None
        self._digits = (self._digits + digit.upper())[-_MOST_DIGITS:]
        found = next((p for p in self._patterns if p.matches(self._digits)), None)
        if found is None:
            return None
        digits, self._digits = self._digits, ""
        self.over = self._persist == "one-shot"
        return _report(200, "OK", digits=digits, tag=found.tag)

    def end(self) -> Body:
        """The last report: the subscription has run out, or the call is over."""
        self.over = True
        return _report(487, "Subscription Expired")


def _report(code: int, text: str, *, digits: str = "", tag: str = "") -> Body:
    attributes = f'version="1.0" code="{code}" text={quoteattr(text)}'
    if digits:
        attributes += f" digits={quoteattr(digits)}"
    if tag:
        attributes += f" tag={quoteattr(tag)}"
    document = f'<?xml version="1.0" encoding="UTF-8"?><kpml-response {attributes}/>'
    return Body(KPML_RESPONSE, document.encode())


def kpml_request(regex: str, *, tag: str = "", persist: str = "persist") -> Body:
    """A request as a server writes it."""
    document = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<kpml-request xmlns="urn:ietf:params:xml:ns:kpml-request" version="1.0">'
        f'<pattern persist="{persist}"><regex tag={quoteattr(tag)}>{regex}</regex></pattern>'
        "</kpml-request>"
    )
    return Body(KPML_REQUEST, document.encode())
