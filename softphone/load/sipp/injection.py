"""Injection files: a line of fields for each call, as SIPp's `-inf` has them.

The first line says SEQUENTIAL, RANDOM or USER, and with `,PRINTF=n` that there are n lines made of
the few below it: `%d` and `%05d` in them are the line's number.  Fields are separated by ";",
lines that begin with "#" are comments.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from pathlib import Path

from softphone.errors import ConfigurationError
from softphone.operating_system import read_file

MOST_OCTETS = 256 * 1024 * 1024
MOST_LINES = 10_000_000
_ORDERS = {"SEQUENTIAL": "SEQUENTIAL", "RANDOM": "RANDOM", "USER": "USER", "USERS": "USER"}
_NUMBER = re.compile(r"%(0?[0-9]{0,2})d|%%")
_SETTINGS = ("PRINTF", "PRINTFMULTIPLE", "PRINTFOFFSET")
_NUMBERS = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class InjectionFile:
    """One file: `order`, its lines of fields, and of made ones their number and first number."""

    name: str
    order: str
    lines: tuple[tuple[str, ...], ...] = field(repr=False)  # they hold passwords
    printed: int = 0
    multiple: int = 1
    offset: int = 0

    def __len__(self) -> int:
        """How many lines there are, those that are made of others included."""
        return self.printed or len(self.lines)

    def line_of_call(self, number: int, chance: random.Random) -> int:
        """Return the line of call `number`, which counts from 0; after the last comes the first.

        USER gives the lines in turn, too: a call's user is its number modulo that of the lines.
        """
        return chance.randrange(len(self)) if self.order == "RANDOM" else number % len(self)

    def field_text(self, line: int, number: int) -> str:
        """Return a field of a line, "" beyond the last one."""
        fields = self.lines[line % len(self.lines)]
        text = fields[number] if number < len(fields) else ""
        if not self.printed or "%" not in text:
            return text
        value = self.offset + line * self.multiple

        def printed(match: re.Match[str]) -> str:
            return "%" if match[0] == "%%" else f"%{match[1]}d" % value

        return _NUMBER.sub(printed, text)

    def index(self, number: int) -> dict[str, int]:
        """Return the line of each value that a field has; the first one counts."""
        found: dict[str, int] = {}
        for line in range(len(self)):
            found.setdefault(self.field_text(line, number), line)
        return found


def read_injection(path: Path) -> InjectionFile:
    """Read a file.  Raises ConfigurationError with file and line."""
    try:
        data = read_file(path, most=MOST_OCTETS + 1)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror or error}") from error
    if len(data) > MOST_OCTETS:
        raise ConfigurationError(f"{path}: too large for a file of users")
    rows = data.decode("utf-8", "surrogateescape").split("\n")
    order, settings = _read_head(path, rows[0].strip())
    lines = tuple(
        tuple(row.rstrip("\r").split(";"))
        for row in rows[1:]
        if row.strip() and not row.startswith("#")
    )
    if not lines:
        raise ConfigurationError(f"{path}: there is no line below the first one")
    return InjectionFile(
        path.name,
        order,
        lines,
        settings.get("PRINTF", 0),
        settings.get("PRINTFMULTIPLE", 1),
        settings.get("PRINTFOFFSET", 0),
    )


def _read_head(path: Path, text: str) -> tuple[str, dict[str, int]]:
    words = [word.strip() for word in text.split(",")]
    order = _ORDERS.get(words[0])
    if order is None:
        raise ConfigurationError(
            f"{path}:1: expected SEQUENTIAL, RANDOM or USER, not {words[0][:40]!r}"
        )
    settings: dict[str, int] = {}
    for word in words[1:]:
        name, _, value = word.partition("=")
        if name not in _SETTINGS or not _NUMBERS.fullmatch(value):
            raise ConfigurationError(f"{path}:1: {word[:40]!r} is not supported")
        settings[name] = int(value)
    if settings.get("PRINTF", 1) not in range(1, MOST_LINES + 1):
        raise ConfigurationError(f"{path}:1: PRINTF: expected 1 to {MOST_LINES:,}")
    return order, settings
