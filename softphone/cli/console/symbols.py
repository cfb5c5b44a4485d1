"""Replaces characters that an encoding lacks: a symbol by a word, any other by a question mark.

ASCII locales, `PYTHONIOENCODING` and the code pages of Windows lack the lock, and most of them the
ellipsis.  Without this, printing them would raise UnicodeEncodeError.
"""

from __future__ import annotations

import codecs
import sys

_WORDS = {
    "\N{LOCK}": "[lock]",
    "\N{OPEN LOCK}": "[no lock]",
    "\N{KEY}": "[key]",
    "\N{HORIZONTAL ELLIPSIS}": "...",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "\N{LEFT SINGLE QUOTATION MARK}": "'",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{LEFT DOUBLE QUOTATION MARK}": '"',
    "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
    "\N{NO-BREAK SPACE}": " ",
}
_HANDLER = "words_for_symbols"


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_WORDS.get(each, "?") for each in lacking), error.end


codecs.register_error(_HANDLER, _replace)


def replace_unknown_characters() -> None:
    """Make standard output and error replace the characters that their encodings lack."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors=_HANDLER)
