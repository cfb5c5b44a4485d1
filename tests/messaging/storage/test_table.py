"""A table in a database: made where it is missing, changed as a whole or not at all."""

from __future__ import annotations

import asyncio
import stat

import pytest
import sqlalchemy as sa
import sqlalchemy.ext.asyncio

from softphone.errors import AuditError, ConfigurationError, SoftphoneError
from softphone.messaging.storage.database import Database
from softphone.messaging.storage.table import DatabaseTable, prepare_file


def fault(exc):
    return AuditError(f"told: {type(exc).__name__}")


def opened(path, *, within=5.0):
    table = sa.Table("some", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True))
    database = Database(sa, f"sqlite+aiosqlite:///{path}", "audit")
    return table, DatabaseTable(database, table, within=within, fault=fault)


async def added(place, table, *numbers, failure=None, **how):
    async with place.change(**how) as connection:
        for number in numbers:
            await connection.execute(table.insert().values(id=number))
        if failure is not None:
            raise failure


async def count(place, table):
    async with place.change() as connection:
        return len((await connection.execute(table.select())).all())


async def test_a_table_is_made_once_and_its_file_is_its_owner_s(tmp_path):
    path = tmp_path / "some.db"
    for rows in (1, 2):
        table, place = opened(path)
        await place.open_table()
        await added(place, table, rows)
        assert await count(place, table) == rows
        await place.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("failure", [OSError("disk"), SoftphoneError("x"), TimeoutError()])
async def test_a_change_that_fails_changes_nothing_and_is_told(tmp_path, failure):
    table, place = opened(tmp_path / "some.db")
    await place.open_table()
    with pytest.raises(AuditError, match=f"told: {type(failure).__name__}"):
        await added(place, table, 1, failure=failure)
    assert await count(place, table) == 0
    await place.close()


async def test_what_is_to_pass_is_not_translated(tmp_path):
    table, place = opened(tmp_path / "some.db")
    await place.open_table()
    taken = sa.exc.IntegrityError
    for passes, raised in ((taken, taken), ((), AuditError)):
        with pytest.raises(raised):
            await added(place, table, 1, 1, passes=passes)
    await place.close()


async def test_a_change_that_takes_too_long_is_told(tmp_path):
    _, made = opened(tmp_path / "some.db")
    await made.open_table()
    await made.close()
    _, place = opened(tmp_path / "some.db", within=0.05)
    with pytest.raises(AuditError, match="told: TimeoutError"):
        async with place.change():
            await asyncio.Event().wait()
    await place.close()


async def test_a_table_that_cannot_be_made_is_told(tmp_path):
    path = tmp_path / "some.db"
    path.write_bytes(b"no database at all, but long enough to be looked at" * 100)
    with pytest.raises(AuditError, match="told: DatabaseError"):
        await opened(path)[1].open_table()


async def test_looking_makes_nothing(tmp_path):
    path = tmp_path / "some.db"
    with pytest.raises(ConfigurationError, match="no audit table"):
        await opened(path)[1].open_table(make=False)
    with pytest.raises(AuditError, match="cannot be made"):
        prepare_file(tmp_path / "no" / "some.db", make=True)
    assert not path.exists()
