"""Reads the packaged cases: RFC 4475, RFC 5118, and corner cases of our own.

A file has `[[case]]` tables with the fields of `ConformanceCase`; `message` is text whose lines end
in CRLF on the wire, `first` a message that goes before it, and `file` names octets to be sent as
they are.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from softphone.errors import ConfigurationError
from softphone.load.conformance.case import AllowedOutcomes, ConformanceCase, ViaHandling
from softphone.sans_io import Transport

MESSAGES = Path(__file__).parent / "messages"
FILES = ("rfc4475", "rfc5118", "corner")


@cache
def read_cases() -> tuple[ConformanceCase, ...]:
    """Return every case, in the order in which they are sent."""
    found = []
    for name in FILES:
        tables = tomllib.loads((MESSAGES / f"{name}.toml").read_text(encoding="utf-8"))["case"]
        found += [_case(name, table) for table in tables]
    return tuple(found)


def select_cases(
    patterns: Sequence[str], cases: Iterable[ConformanceCase]
) -> tuple[ConformanceCase, ...]:
    """Return the cases whose names match a pattern, such as "rfc4475-*"; all without patterns.

    Raises ConfigurationError for a pattern that matches none.
    """
    cases = tuple(cases)
    for pattern in patterns:
        if not any(fnmatchcase(case.name, pattern) for case in cases):
            raise ConfigurationError(
                f"--only {pattern}: there is no such case; --list names them all"
            )
    if not patterns:
        return cases
    return tuple(
        case for case in cases if any(fnmatchcase(case.name, pattern) for pattern in patterns)
    )


def _case(group: str, table: dict[str, Any]) -> ConformanceCase:
    stream = table.get("stream")
    needs = table.get("needs", {})
    return ConformanceCase(
        name=f"{group}-{table['name']}",
        section=table["section"],
        title=table["title"],
        asks=table["asks"],
        messages=_messages(group, table),
        allowed=_allowed(table),
        stream=None if stream is None else _allowed(stream),
        needs={name: tuple(words) for name, words in needs.items()},
        via=ViaHandling(table.get("via", "prepend")),
        transports=tuple(Transport(name) for name in table.get("transports", Transport)),
    )


def _messages(group: str, table: dict[str, Any]) -> tuple[bytes, ...]:
    if "file" in table:
        return ((MESSAGES / group / table["file"]).read_bytes(),)
    texts = [table[key] for key in ("first", "message") if key in table]
    return tuple(text.replace("\n", "\r\n").encode() for text in texts)


def _allowed(table: dict[str, Any]) -> AllowedOutcomes:
    return AllowedOutcomes(
        *(tuple(table.get(name, ())) for name in ("passes", "deviates", "fails"))
    )
