"""Class names in stored transcripts, changed by a map when classes are renamed.

Only names of classes change: not what is in messages, in quotation marks or on the wire.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_QUOTED = re.compile(r'("(?:[^"\\]|\\.)*")')
_ON_THE_WIRE = re.compile(r" \d+ octets ")


def renamed(text: str, names: Mapping[str, str]) -> str:
    """A transcript with other class names; `names` maps each old one to its new one."""
    if not names:
        return text
    alternatives = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    # A class name is followed by its fields, its number, its member or its text.
    pattern = re.compile(rf"(?<![\w#-])({alternatives})(?= (?:[{{#A-Z0-9\[]|again )| ?$)")
    return "".join(_line(line, pattern, names) for line in text.splitlines(keepends=True))


def _line(line: str, pattern: re.Pattern[str], names: Mapping[str, str]) -> str:
    if line.startswith(("  |", "#")):
        return line
    ours, wire = line, ""
    if " receive " in line or " send " in line:
        at = _ON_THE_WIRE.search(line)
        if at is not None:
            ours, wire = line[: at.start()], line[at.start() :]
    parts = _QUOTED.split(ours)
    parts[::2] = [pattern.sub(lambda found: names[found[1]], part) for part in parts[::2]]
    return "".join(parts) + wire
