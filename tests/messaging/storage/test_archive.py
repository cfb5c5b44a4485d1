"""The local archive on SQLite: private, in clear with a warning, or sealed."""

from __future__ import annotations

import stat

import pytest

from softphone.errors import ConfigurationError, TransportError
from softphone.messaging.config import HistoryConfig
from softphone.messaging.message import EncryptionScope
from softphone.messaging.storage import MessageArchive
from tests.messaging.delivery.test_history import said


def config(folder, **more) -> HistoryConfig:
    return HistoryConfig(archive=f"sqlite+aiosqlite:///{folder}/im.db", **more)


async def read(archive, peer=None, last=100):
    return [message async for message in archive.read_messages(peer, last=last)]


async def test_it_keeps_messages_by_peer_and_owner(tmp_path, caplog):
    messages = [
        said("a@x", "one"),
        said("b@x", "two", EncryptionScope.CLIENT_TO_EDGE),
        said("a@x", "three", EncryptionScope.CLIENT_TO_CLIENT),
    ]
    async with MessageArchive(config(tmp_path), "me@x") as archive:
        for message in messages:
            await archive.add_message(message)
        assert await read(archive) == messages
        assert await read(archive, "a@x", last=1) == messages[2:]
    assert "in clear" in caplog.text
    async with MessageArchive(config(tmp_path), "you@x") as archive:
        assert await read(archive) == []
    assert stat.S_IMODE((tmp_path / "im.db").stat().st_mode) == 0o600
    assert b"three" in (tmp_path / "im.db").read_bytes()


async def test_with_a_key_the_texts_are_sealed(tmp_path, caplog):
    sealed = config(tmp_path, archive_key=tmp_path / "key")
    async with MessageArchive(sealed, "me@x") as archive:
        await archive.add_message(said("a@x", "the secret"))
        assert [message.body for message in await read(archive)] == ["the secret"]
    assert "in clear" not in caplog.text
    assert b"the secret" not in (tmp_path / "im.db").read_bytes()
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    async with MessageArchive(config(tmp_path, archive_key=tmp_path / "other"), "me@x") as archive:
        with pytest.raises(ConfigurationError, match="another key"):
            await read(archive)


async def test_what_cannot_be_opened_is_told_without_its_address(tmp_path):
    for address in ("nonsense", "nonsense://secret@host", "sqlite:///x"):
        with pytest.raises(ConfigurationError, match="expected an address") as told:
            MessageArchive(HistoryConfig(archive=address), "me@x")
        assert "secret" not in str(told.value)
    lost = HistoryConfig(archive="postgresql+asyncpg://me:secret@127.0.0.1:1/none")
    with pytest.raises(TransportError) as told:
        async with MessageArchive(lost, "me@x"):
            raise AssertionError("nobody is there")
    assert "secret" not in str(told.value)
