"""The audit table on SQLite; on PostgreSQL it is tested with a real one, in peers/."""

from __future__ import annotations

import asyncio
import sqlite3
import stat

import pytest

from softphone.errors import AuditError, ConfigurationError
from softphone.messaging.storage import Audit, AuditRecord
from tests.support.audit import forge


def record(**more):
    values = {
        "jid": "a@x.test",
        "to_jid": "b@x.test",
        "method": "POST",
        "verdict": "allow",
        "kind": "file",
        "direction": "out",
    }
    return AuditRecord(**{**values, **more})


def address(path):
    return f"sqlite+aiosqlite:///{path}"


async def test_rows_are_chained_and_the_file_is_its_owner_s(tmp_path):
    path = tmp_path / "audit.db"
    async with Audit(address(path)) as audit:
        hashes = [await audit.append_record(record(file_size=size)) for size in range(5)]
        found = await audit.verify(hashes[-1])
    assert (found.rows, found.head, found.broken) == (5, hashes[-1], None)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with sqlite3.connect(path) as database:
        rows = database.execute("select aft_index, jid, file_size, utc from aft_log").fetchall()
    database.close()
    assert [row[:3] for row in rows] == [(n + 1, "a@x.test", n) for n in range(5)]
    assert rows[0][3].endswith("+00:00")


async def test_two_writers_take_turns_and_a_second_session_goes_on(tmp_path):
    path = tmp_path / "audit.db"
    async with Audit(address(path)) as one, Audit(address(path)) as two:
        writers = (
            each.append_record(record(reason=str(n))) for n in range(10) for each in (one, two)
        )
        await asyncio.gather(*writers)
    async with Audit(address(path)) as again:
        await again.append_record(record())
        assert (await again.verify()).rows == 21
        assert (await again.verify()).broken is None


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        ("update aft_log set verdict = 'deny' where aft_index = 2", 2),
        ("delete from aft_log where aft_index = 1", 2),
        ("update aft_log set file_size = 1 where aft_index = 3", 3),
    ],
)
async def test_a_forged_row_is_found(tmp_path, statement, index):
    path = tmp_path / "audit.db"
    async with Audit(address(path)) as audit:
        for _ in range(4):
            await audit.append_record(record())
        forge(path, statement)
        assert (await audit.verify()).broken.index == index


async def test_what_cannot_be_written_is_an_error_and_tells_no_address(tmp_path):
    path = tmp_path / "audit.db"
    async with Audit(address(path)) as audit:
        await audit.append_record(record())
        with sqlite3.connect(path) as database:
            database.execute("drop table aft_log")
        database.close()
        with pytest.raises(AuditError) as caught:
            await audit.append_record(record())
    assert str(tmp_path) not in str(caught.value)
    with pytest.raises(AuditError):
        await Audit(address(tmp_path / "no" / "folder.db")).__aenter__()


async def test_texts_that_are_too_long_are_cut_and_still_chained(tmp_path):
    async with Audit(address(tmp_path / "audit.db")) as audit:
        await audit.append_record(record(reason="x\0" * 2000, real_filename="\u00e4" * 600))
        assert (await audit.verify()).broken is None


async def test_verifying_makes_nothing(tmp_path):
    with pytest.raises(ConfigurationError, match="no audit table"):
        await Audit(address(tmp_path / "audit.db"), make=False).__aenter__()
    assert not (tmp_path / "audit.db").exists()


@pytest.mark.parametrize("text", ["", "nonsense", "klingon://x", "sqlite:///x.db"])
def test_an_address_that_is_none_is_refused(text):
    with pytest.raises(ConfigurationError, match=r"^audit: "):
        Audit(text)
