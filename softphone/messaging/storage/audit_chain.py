"""The chain of an audit table: each row's hash covers the row and the hash before it.

SHA-256 over one unambiguous JSON form of a row.  If the newest hash is noted elsewhere, no row can
be changed unnoticed; `verify_chain` finds the first break.  The module uses no database.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

COLUMNS = (
    "aft_index",
    "jid",
    "to_jid",
    "method",
    "filename",
    "real_filename",
    "file_server",
    "file_path",
    "file_type",
    "file_size",
    "chat_type",
    "direction",
    "kind",
    "verdict",
    "reason",
    "sha256",
    "utc",
)
"""The columns that the hash covers, in its order; the names are those of Cisco's AFT_LOG."""

GENESIS = "0" * 64
"""The hash that the first row has as its `previous_hash`."""

AuditRow = Mapping[str, "str | int | None"]


@dataclass(frozen=True, slots=True)
class ChainBreak:
    """The index of the first invalid row, and what is wrong with it."""

    index: int
    reason: str


def row_hash(row: AuditRow, previous: str) -> str:
    """Return the hash of a row, in hexadecimal; `previous` is the hash of the row before it."""
    form = json.dumps([previous, *(row[name] for name in COLUMNS)], ensure_ascii=True)
    return hashlib.sha256(form.encode()).hexdigest()


def verify_chain(
    rows: Iterable[AuditRow], head: str | None = None
) -> tuple[int, str, ChainBreak | None]:
    """Return the number of valid rows, the hash of the last of them, and the first break, or None.

    `head` is the newest hash that was noted elsewhere: without it, rows deleted at the end go
    undetected.
    """
    previous, count = GENESIS, 0
    seen = head is None or head == GENESIS
    for row in rows:
        index = int(row["aft_index"] or 0)
        if index != count + 1:
            return (
                count,
                previous,
                ChainBreak(index, f"row {count + 1} is missing, or out of its place"),
            )
        if row["previous_hash"] != previous:
            return count, previous, ChainBreak(index, "it does not follow on the row before it")
        if row_hash(row, previous) != row["row_hash"]:
            return count, previous, ChainBreak(index, "what it says is not what was written")
        previous, count = str(row["row_hash"]), index
        seen = seen or previous == head
    if not seen:
        return count, previous, ChainBreak(count + 1, "the row with the noted hash is missing")
    return count, previous, None
