"""An SQLite audit table, altered by someone with write access to the file."""

from __future__ import annotations

import sqlite3


def forge(path, *statements):
    """Drop all triggers, then run `statements`; returns the names of the triggers."""
    with sqlite3.connect(path) as database:
        kept = database.execute("select name from sqlite_master where type = 'trigger'").fetchall()
        for (name,) in kept:
            database.execute(f"drop trigger {name}")
        for statement in statements:
            database.execute(statement)
    database.close()
    return [name for (name,) in kept]
