"""An audit table is only added to: on SQLite here, on PostgreSQL with a real one, in peers/."""

from __future__ import annotations

import sqlite3

import pytest
import sqlalchemy as sa

from softphone.errors import ConfigurationError
from softphone.messaging.storage import Audit, AuditRecord, audit_table, setup_script
from tests.support.audit import forge

RECORD = AuditRecord("a@x.test", "b@x.test", "IM", "allow", "message", "sent")


@pytest.fixture
async def path(tmp_path):
    """A table of three rows."""
    path = tmp_path / "audit.db"
    async with Audit(f"sqlite+aiosqlite:///{path}") as audit:
        for _ in range(3):
            await audit.append_record(RECORD)
    return path


def refused(path, statement):
    """Why a database refuses a statement; nothing of it has been done then."""
    database = sqlite3.connect(path)
    try:
        before = database.execute("select * from aft_log").fetchall()
        with pytest.raises(sqlite3.IntegrityError) as caught:
            database.execute(statement)
        assert database.execute("select * from aft_log").fetchall() == before
    finally:
        database.close()
    return str(caught.value)


@pytest.mark.parametrize(
    "statement",
    [
        "update aft_log set verdict = 'deny' where aft_index = 2",
        "update aft_log set aft_index = 9 where aft_index = 3",
        "delete from aft_log where aft_index = 3",
        "delete from aft_log",
        "replace into aft_log select * from aft_log where aft_index = 2",
        "insert or replace into aft_log select * from aft_log where aft_index = 3",
    ],
)
async def test_nothing_that_is_there_is_changed_replaced_or_deleted(path, statement):
    assert refused(path, statement) == "the audit table is append-only"


async def test_who_takes_the_triggers_away_is_found_by_the_chain(path):
    assert sorted(forge(path, "update aft_log set verdict = 'deny' where aft_index = 2")) == [
        "aft_log_added",
        "aft_log_kept",
        "aft_log_whole",
    ]
    async with Audit(f"sqlite+aiosqlite:///{path}") as audit:
        assert (await audit.verify()).broken.index == 2


def test_a_script_grants_its_writer_reading_and_adding_and_no_more():
    script = setup_script(sa, audit_table(sa), "chat_writer")
    statements = [one for one in script.splitlines() if not one.startswith("--")]
    assert statements[0] == "CREATE TABLE aft_log ("
    assert statements[-2:] == [
        "REVOKE ALL ON aft_log FROM PUBLIC;",
        'GRANT SELECT, INSERT ON aft_log TO "chat_writer";',
    ]
    assert not any(line.endswith(" ") for line in script.splitlines())


@pytest.mark.parametrize("name", ["", "a b", 'a"; DROP TABLE aft_log; --', "1a", "a" * 64])
def test_what_is_no_role_is_in_no_script(name):
    with pytest.raises(ConfigurationError, match="no name of a role"):
        setup_script(sa, audit_table(sa), name)
