"""An audit table in a file of SQLite, changed by somebody who may write the file."""

from __future__ import annotations

import sqlite3


def forge(path, *statements):
    """Take the triggers away, and change what they keep."""
    with sqlite3.connect(path) as database:
        kept = database.execute("select name from sqlite_master where type = 'trigger'").fetchall()
        for (name,) in kept:
            database.execute(f"drop trigger {name}")
        for statement in statements:
            database.execute(statement)
    database.close()
    return [name for (name,) in kept]
