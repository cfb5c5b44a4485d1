"""POSIX extended regular expressions, as the patterns of Python.

Character classes (`[[:alnum:]]`) and bracket expressions are translated; `.` takes line ends too,
as regexec does.  The leftmost match is found, but of several alternatives the first that fits and
not the longest; a pattern begins again at no later place when it begins with `.*`.  Where Python's
`re` might take long, `linear_search` finds the same.  IEEE Std 1003.1, section 9.4.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from softphone.load.sipp.search import PatternParser, Program

MOST_WORK = 1 << 20
"""Steps that a search by `re` may take: some milliseconds.  More are left to the linear search."""

_CLASSES = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "blank": " \\t",
    "cntrl": "\\x00-\\x1f\\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": "!-/:-@\\[-`{-~",
    "space": "\\s",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}
_CLASS = re.compile(r"\[:([a-z]+):\]")
_ANY_FIRST = re.compile(r"\^?\(?\.\*")
_INTERVAL = re.compile(r"\{(?:\d+(?:,\d*)?|,\d+)\}")
_REPEATING = frozenset("*+?")


@dataclass(frozen=True, slots=True)
class ExtendedPattern:
    """A pattern; with `anchored` it need only be tried at the beginning of a text."""

    text: str
    anchored: bool
    _compiled: re.Pattern[str] = field(repr=False, compare=False)
    _program: Program = field(repr=False, compare=False)

    @property
    def groups(self) -> int:
        """The number of groups."""
        return self._program.groups

    def search(self, text: str) -> tuple[str | None, ...] | None:
        """Return what was found first and its groups; None for nothing.

        The time grows no faster than the length of the text.
        """
        degree = self._program.degree + (not self.anchored)
        if len(text) > 16 and len(text) ** degree > MOST_WORK:
            return self._program.search(text, anchored=self.anchored)
        find = self._compiled.match if self.anchored else self._compiled.search
        found = find(text)
        return None if found is None else (found[0], *found.groups())


def compile_extended(text: str) -> ExtendedPattern:
    """Compile a pattern.  Raises ValueError for what is no extended regular expression."""
    tokens = _tokens(text)
    try:
        compiled = re.compile("".join(tokens), re.DOTALL)
        program = PatternParser(tokens).program()
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"no extended regular expression: {error}") from error
    return ExtendedPattern(text, _ANY_FIRST.match(text) is not None, compiled, program)


def _tokens(text: str) -> list[str]:
    """A pattern of Python in its tokens: characters, brackets, operators."""
    out: list[str] = []
    at = 0
    while at < len(text):
        interval = _INTERVAL.match(text, at)
        if text[at] == "\\" and at + 1 < len(text):
            # In POSIX a backslash makes the next character itself, a letter too.
            out.append(re.escape(text[at + 1]))
            at += 2
        elif text[at] == "[":
            bracket, at = _bracket(text, at)
            out.append(bracket)
        elif text[at : at + 2] == "(?":
            raise ValueError(f"no extended regular expression: '(?' at {at}")
        elif interval is not None and out:
            out.append(interval[0])
            at = interval.end()
        elif text[at] in "*+?" and out and out[-1] in _REPEATING:
            # Two repetitions are one: `re` would be lazy at `*?`, and keep what it has at `*+`.
            out[-1] = text[at] if text[at] == out[-1] else "*"
            at += 1
        else:
            out.append(re.escape(text[at]) if text[at] in "{}" else text[at])
            at += 1
    return out


def _bracket(text: str, at: int) -> tuple[str, int]:
    """Translate the bracket expression at `at`; a "]" that comes first is a character of it."""
    start = at
    at += 1
    out = "["
    if text[at : at + 1] == "^":
        out, at = "[^", at + 1
    first = True
    while at < len(text):
        named = _CLASS.match(text, at)
        if named is not None:
            if named[1] not in _CLASSES:
                raise ValueError(f"no extended regular expression: class {named[1]!r} is unknown")
            out, at = out + _CLASSES[named[1]], named.end()
        elif text[at] == "]" and not first:
            return out + "]", at + 1
        else:
            out += "\\" + text[at] if text[at] in "\\[]&~|" else text[at]
            at += 1
        first = False
    raise ValueError(f"no extended regular expression: '[' at {start} is not closed")
