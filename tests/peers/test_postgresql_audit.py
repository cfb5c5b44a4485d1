"""The audit table in a real PostgreSQL, which is stopped in the middle of a transfer."""

from __future__ import annotations

import asyncio

import pytest
import sqlalchemy as sa
import sqlalchemy.ext.asyncio

from softphone.errors import AuditError
from softphone.messaging.account_compliance import AccountCompliance
from softphone.messaging.compliance import ALLOW, ComplianceConfig, Deny
from softphone.messaging.files import FileTransfer
from softphone.messaging.files.transfer import UploadSlot
from softphone.messaging.message import MessageDirection
from softphone.messaging.storage import Audit, AuditRecord, audit_table, setup_script
from softphone.net.http import HttpsClient, HttpsEnvironment
from softphone.trust import Service
from tests.messaging.storage.test_third_party_archive import question
from tests.peers.postgresql import Postgresql
from tests.support.certificates import raw_server_context, server, settings
from tests.support.http import WebServer

pytestmark = pytest.mark.peer("postgresql")
RECORD = AuditRecord("a@x.test", "b@x.test", "IM", "allow", "message", "sent")


@pytest.fixture
def database(peer_root, tmp_path):
    own = Postgresql(peer_root, tmp_path / "postgresql")
    yield own
    own.stop()


async def test_rows_are_chained_by_several_writers_and_a_forged_one_is_found(database):
    async with Audit(database.address) as one, Audit(database.address) as two:
        await asyncio.gather(*(each.append_record(RECORD) for _ in range(5) for each in (one, two)))
        assert (await one.verify()).rows == 10
        assert (await one.verify()).broken is None
        change = one._table.update().where(one._table.c.aft_index == 4)
        forged = change.values(jid="mallory@x.test")
        with pytest.raises(sa.exc.DBAPIError, match="append-only"):
            async with one._engine.begin() as connection:
                await connection.execute(forged)
        async with one._engine.begin() as connection:
            # The owner of the table may take its guard away, and is found.
            await connection.execute(sa.text("ALTER TABLE aft_log DISABLE TRIGGER USER"))
            await connection.execute(forged)
        assert (await two.verify()).broken.index == 4


async def test_a_role_that_only_writes_changes_nothing_and_cannot_take_the_guard_away(database):
    owner = sa.ext.asyncio.create_async_engine(database.address)
    script = setup_script(sa, audit_table(sa), "chat-writer")
    script = script.partition("\n")[2].rstrip(";\n")
    async with owner.begin() as connection:
        await connection.execute(sa.text('CREATE ROLE "chat-writer" LOGIN'))
        for statement in script.split(";\n"):
            await connection.exec_driver_sql(statement)
    writer = sa.engine.make_url(database.address).set(username="chat-writer")
    address = writer.render_as_string(hide_password=False)
    async with Audit(address) as audit:
        head = [await audit.append_record(RECORD) for _ in range(3)][-1]
        for statement in (
            "UPDATE aft_log SET verdict = 'deny'",
            "DELETE FROM aft_log WHERE aft_index = 3",
            "TRUNCATE aft_log",
            "DROP TABLE aft_log",
            "DROP TRIGGER aft_log_append_only ON aft_log",
            "ALTER TABLE aft_log DISABLE TRIGGER USER",
            "DROP FUNCTION aft_log_append_only() CASCADE",
        ):
            with pytest.raises(sa.exc.DBAPIError, match=r"permission denied|must be owner"):
                async with audit._engine.begin() as connection:
                    await connection.exec_driver_sql(statement)
        found = await audit.verify(head)
    await owner.dispose()
    assert (found.rows, found.broken) == (3, None)


async def test_a_database_that_stops_in_a_transfer_leaves_it_undone_and_loses_nothing(
    database, tmp_path
):
    """The file is up when the database dies: nobody is told that it is, and what was committed
    before is there when it is back."""
    context = raw_server_context(server().write(tmp_path, "web"))

    def dies():
        database.stop()
        return b""

    web = WebServer(put=dies)
    listening = await asyncio.start_server(web._serve, "127.0.0.1", 0, ssl=context)
    base = f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    path = tmp_path / "file.txt"
    path.write_text("what is sent")

    async def ask(*_):
        return UploadSlot(f"{base}/put", f"{base}/get")

    client = HttpsClient(settings(tmp_path, None, service=Service.HTTPS))
    async with listening, Audit(database.address) as audit:
        noted = await audit.append_record(RECORD)
        transfer = FileTransfer("a@x.test", client, audit, ())
        with pytest.raises(AuditError) as caught:
            await transfer.upload_file(path, ask, "b@x.test")
        assert len(web.requests) == 1
        assert "127.0.0.1" not in str(caught.value)
        web.answers["/put"] = b""
        with pytest.raises(AuditError):
            await transfer.upload_file(path, ask, "b@x.test")
        assert len(web.requests) == 1
        await asyncio.to_thread(database.start)
        found = await audit.verify(noted)
        assert (found.rows, found.broken) == (2, None)
        moved = await transfer.upload_file(path, ask, "b@x.test")
        after = await audit.verify(moved.row)
        assert (after.rows, after.head, after.broken) == (4, moved.row, None)


async def test_the_third_party_archive_is_there_and_nothing_goes_on_without_it(database):
    config = ComplianceConfig(database.address, archive=database.address, within=2.0)
    async with AccountCompliance("a@x", config, HttpsEnvironment()) as own:
        assert await own.decide(question()) == ALLOW
        assert await own.decide(question(MessageDirection.RECEIVED, id="2")) == ALLOW
        database.stop()
        assert await own.decide(question(id="3")) == Deny("it cannot be written down")
        await asyncio.to_thread(database.start)
        assert await own.decide(question(id="4")) == ALLOW
        archive = own._archive
        async with archive._engine.connect() as connection:
            columns = archive._table.c
            query = archive._table.select().order_by(columns.id)
            rows = (await connection.execute(query)).all()
    found = [(row.from_jid, row.to_jid, row.stanza, row.body_text) for row in rows]
    assert found == [
        ("a@x", "b@x", "1", "hello"),
        ("b@x", "a@x", "2", "hello"),
        ("a@x", "b@x", "4", "hello"),
    ]
