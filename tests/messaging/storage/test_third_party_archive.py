"""The third-party archive: clear messages, committed, in a file of its owner's."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest

from softphone.errors import AuditError, ConfigurationError
from softphone.messaging.compliance import PendingMessage
from softphone.messaging.message import EncryptionScope, MessageDirection
from softphone.messaging.storage import ThirdPartyArchive

WALL = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def question(direction=MessageDirection.SENT, scope=EncryptionScope.CLIENT_TO_SERVER, **more):
    values = {"own": "a@x", "peer": "b@x", "sender": "a@x", "id": "1", "room": False, "size": 5}
    return PendingMessage(direction=direction, scope=scope, body="hello", **{**values, **more})


async def test_a_message_is_a_row(tmp_path):
    path = tmp_path / "archive.db"
    async with ThirdPartyArchive(f"sqlite+aiosqlite:///{path}", wall=lambda: WALL) as archive:
        await archive.add_message(question(scope=EncryptionScope.CLIENT_TO_EDGE), "hello")
        await archive.add_message(question(MessageDirection.RECEIVED, room=True), "\0redacted")
    with closing(sqlite3.connect(path)) as database:
        query = "select from_jid, to_jid, msg_type, direction, body_len, body_text from jm"
        found = database.execute(query).fetchall()
        assert (
            database.execute("select sent_date from jm").fetchone()[0].startswith("2026-01-02 03")
        )
    assert found == [
        ("a@x", "b@x", "im", "sent", 5, "hello"),
        ("b@x", "a@x", "groupchat", "received", 9, "?redacted"),
    ]
    assert path.stat().st_mode & 0o777 == 0o600


async def test_what_is_secret_is_never_taken():
    async with ThirdPartyArchive("sqlite+aiosqlite://") as archive:
        with pytest.raises(AuditError, match="client to client"):
            await archive.add_message(question(scope=EncryptionScope.CLIENT_TO_CLIENT), "hello")


async def test_an_address_out_of_reach_or_none_is_an_error():
    with pytest.raises(ConfigurationError, match=r"im\.compliance\.archive"):
        ThirdPartyArchive("nonsense")
    with pytest.raises(AuditError) as caught:
        async with ThirdPartyArchive("postgresql+asyncpg://u:secret@127.0.0.1:1/x"):
            raise AssertionError("open")
    assert "secret" not in str(caught.value)
