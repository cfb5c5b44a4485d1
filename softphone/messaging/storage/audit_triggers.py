"""Keeps an audit table append-only in its database: by triggers, and on PostgreSQL also by grants.

The triggers are created with the table.  Only those who can drop them can bypass them: on SQLite
anybody who can write the file, on PostgreSQL the table's owner.  So on PostgreSQL another role than
the writer should own the table; that owner runs `setup_script`, which grants the writer what it
needs.  A change that neither prevents breaks the chain of hashes.
"""

from __future__ import annotations

import re
from typing import Any

from softphone.errors import ConfigurationError

_REFUSAL = "the audit table is append-only"
_ROLE = re.compile(r"[A-Za-z_][A-Za-z0-9_$-]{0,62}")
_HEAD = (
    "-- Run by the owner of the database, who is not the role that writes: psql -f FILE DATABASE\n"
)
# The third trigger refuses INSERT OR REPLACE: SQLite fires no DELETE trigger for a replaced row.
_SQLITE = tuple(
    f"CREATE TRIGGER aft_log_{name} BEFORE {event} ON aft_log {when}"
    f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
    for name, event, when in (
        ("kept", "UPDATE", ""),
        ("whole", "DELETE", ""),
        (
            "added",
            "INSERT",
            "WHEN EXISTS (SELECT 1 FROM aft_log WHERE aft_index = NEW.aft_index"
            " OR previous_hash = NEW.previous_hash) ",
        ),
    )
)
_POSTGRESQL = (
    "CREATE OR REPLACE FUNCTION aft_log_append_only() RETURNS trigger LANGUAGE plpgsql AS $$"
    f" BEGIN RAISE EXCEPTION '{_REFUSAL}' USING ERRCODE = 'insufficient_privilege'; END $$",
    "CREATE TRIGGER aft_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON aft_log"
    " FOR EACH STATEMENT EXECUTE FUNCTION aft_log_append_only()",
)


def add_append_only_triggers(sa: Any, table: Any) -> None:
    """Register the triggers, so that they are created with this SQLAlchemy table."""
    for dialect, statements in (("sqlite", _SQLITE), ("postgresql", _POSTGRESQL)):
        for statement in statements:
            made = sa.DDL(statement).execute_if(dialect=dialect)
            sa.event.listen(table, "after_create", made)


def setup_script(sa: Any, table: Any, writer: str) -> str:
    """Return the SQL script that the owner of a PostgreSQL database runs.

    It creates the table and its triggers, and lets the role `writer` only read and insert.  Raises
    ConfigurationError if `writer` is no name of a role.
    """
    if _ROLE.fullmatch(writer) is None:
        raise ConfigurationError(f"{writer!r} is no name of a role: letters, digits, _ $ and -")
    dialect = sa.dialects.registry.load("postgresql")()
    create = str(sa.schema.CreateTable(table).compile(dialect=dialect)).strip().expandtabs(4)
    lines = [
        "\n".join(line.rstrip() for line in create.splitlines()),
        *_POSTGRESQL,
        "REVOKE ALL ON aft_log FROM PUBLIC",
        f'GRANT SELECT, INSERT ON aft_log TO "{writer}"',
    ]
    return _HEAD + "".join(f"{line};\n" for line in lines)
