"""`softphone compliance verify` and `setup`."""

from __future__ import annotations

import asyncio

import pytest

from softphone.messaging.storage import Audit, AuditRecord
from tests.support.audit import forge


@pytest.fixture
def table(tmp_path):
    """A table of three rows, and the hash of the last."""
    path = tmp_path / "audit.db"

    async def fill():
        async with Audit(f"sqlite+aiosqlite:///{path}") as audit:
            rows = [AuditRecord("a@x", "b@x", "POST", "allow", "file", "out")] * 3
            return [await audit.append_record(row) for row in rows][-1]

    return path, asyncio.run(fill())


def test_a_good_table_is_told_with_its_newest_hash(cli, table):
    path, head = table
    ended = cli("compliance", "verify", path, "--head", head, "--json")
    assert (ended.code, ended.summary["rows"], ended.summary["head"]) == (0, 3, head)
    assert "3 rows, each as it was written" in cli("compliance", "verify", path).out


def test_a_forged_row_is_named_and_exit_code_3(cli, table):
    path, _ = table
    forge(path, "update aft_log set to_jid = 'c@x' where aft_index = 2")
    ended = cli("compliance", "verify", path, "--json")
    assert ended.code == 3
    assert [event["index"] for event in ended.events if event["event"] == "broken"] == [2]
    assert "row 2: what it says is not what was written (1 before it is good)" in ended.err


def test_rows_that_are_gone_at_the_end_are_missed_by_the_noted_hash(cli, table):
    path, head = table
    forge(path, "delete from aft_log where aft_index = 3")
    assert cli("compliance", "verify", path).code == 0
    assert cli("compliance", "verify", path, "--head", head).code == 3


def test_what_an_owner_runs_is_printed_as_it_is_run(cli, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    ended = cli("compliance", "setup", "--writer", "chat")
    assert ended.code == 0
    script = cli("compliance", "setup", "--writer", "chat", "--json").events[0]["sql"]
    assert ended.out == script
    assert 'GRANT SELECT, INSERT ON aft_log TO "chat";' in script
    wrong = cli("compliance", "setup", "--writer", "a b")
    assert (wrong.code, wrong.out) == (2, "")
