"""POSIX extended regular expressions, as the patterns of Python.

Character classes (`[[:alnum:]]`) and bracket expressions are translated; `.` takes line ends too,
as regexec does.  The leftmost match is found, but of several alternatives the first that fits and
not the longest; a pattern begins again at no later place when it begins with `.*`, so that it costs
no more than the length of the text then.  IEEE Std 1003.1, section 9.4.
"""

from __future__ import annotations

import re

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


def compile_extended(text: str) -> tuple[re.Pattern[str], bool]:
    """Return the pattern, and whether it need only be tried at the beginning.

    Raises ValueError for what is no extended regular expression.
    """
    try:
        compiled = re.compile(_translate(text), re.DOTALL)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"no extended regular expression: {error}") from error
    return compiled, _ANY_FIRST.match(text) is not None


def _translate(text: str) -> str:
    out: list[str] = []
    at = 0
    while at < len(text):
        if text[at] == "\\" and at + 1 < len(text):
            # In POSIX a backslash makes the next character itself, a letter too.
            out.append(re.escape(text[at + 1]))
            at += 2
        elif text[at] == "[":
            bracket, at = _bracket(text, at)
            out.append(bracket)
        elif text[at : at + 2] == "(?":
            raise ValueError(f"no extended regular expression: '(?' at {at}")
        else:
            out.append(text[at])
            at += 1
    return "".join(out)


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
