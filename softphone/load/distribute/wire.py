"""What workers and their crew say to each other: one JSON object a line, by pipes.

To a worker: the plan, then `go` or `stop`.  From it: `progress`, `ready`, `begun`, `second`,
`done`, or `failed`.  No secret is on this wire.
"""

from __future__ import annotations

import json
from typing import Any

__all__ = ["LINE", "read_line", "write_line"]

LINE = 64 * 1024 * 1024
"""The longest line: a plan of a hundred thousand users."""


def write_line(kind: str, value: Any = None) -> bytes:
    """One line."""
    return json.dumps({kind: value}, separators=(",", ":")).encode() + b"\n"


def read_line(line: bytes) -> tuple[str, Any]:
    """Its kind and its value.  Raises ValueError for anything else."""
    found = json.loads(line)
    if not isinstance(found, dict) or len(found) != 1:
        raise ValueError("a line of the crew has one key")
    return next(iter(found.items()))
