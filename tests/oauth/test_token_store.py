"""Where a token is kept: files, encrypted or not, and the keyring; one refresh at a time."""

from __future__ import annotations

import asyncio
import json
import logging
import stat
import sys
from types import ModuleType, SimpleNamespace

import pytest

from softphone.errors import ConfigurationError, SingleSignOnError
from softphone.oauth import FileTokenStore, KeyringTokenStore, Token, token_store
from softphone.oauth.token import encode_token
from softphone.security import KeyMaterial
from tests.support.waiting import PATIENCE

TOKEN = Token(KeyMaterial(b"an-access-token"), KeyMaterial(b"a-refresh-token"), 5.0, 60.0)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(token_store, "ROUNDS", 1000)


@pytest.fixture
def place(tmp_path):
    return tmp_path / "tokens" / "anna.json"


def same(one, other=TOKEN):
    return encode_token(one) == encode_token(other)


async def saved(store):
    async with store.locked():
        await store.save(TOKEN)
    return store


async def test_a_file_is_for_its_owner_and_called_unencrypted_once(place, caplog):
    store = FileTokenStore(place)
    assert await store.load() is None
    await saved(store)
    await saved(store)
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert same(await store.load())
    assert [each.levelno for each in caplog.records] == [logging.WARNING]
    assert "unencrypted" in caplog.text
    assert "unencrypted" in store.description
    await store.forget()
    await store.forget()
    assert await store.load() is None


async def test_a_file_under_a_passphrase_opens_with_that_alone(place):
    store = await saved(FileTokenStore(place, KeyMaterial(b"open")))
    text = place.read_text()
    assert "token" not in text
    assert "encrypted under a passphrase" in store.description
    assert same(await FileTokenStore(place, KeyMaterial(b"open")).load())
    with pytest.raises(ConfigurationError, match="does not open"):
        await FileTokenStore(place, KeyMaterial(b"shut")).load()
    with pytest.raises(ConfigurationError, match="give passphrase_file"):
        await FileTokenStore(place).load()
    place.write_text(json.dumps({**json.loads(text), "salt": "!"}))
    with pytest.raises(ConfigurationError, match="does not open"):
        await FileTokenStore(place, KeyMaterial(b"open")).load()


async def test_a_clear_file_in_place_of_a_sealed_one_is_not_believed(place):
    await saved(FileTokenStore(place))
    with pytest.raises(SingleSignOnError, match="not encrypted"):
        await FileTokenStore(place, KeyMaterial(b"open")).load()


async def test_each_file_has_a_salt_of_its_own(place, tmp_path):
    for path in (place, tmp_path / "other.json"):
        await saved(FileTokenStore(path, KeyMaterial(b"open")))
    salts = {json.loads(path.read_text())["salt"] for path in (place, tmp_path / "other.json")}
    assert len(salts) == 2


async def test_a_file_that_others_write_is_refused_and_one_that_others_read_is_told(place, caplog):
    store = await saved(FileTokenStore(place))
    place.chmod(0o644)
    caplog.clear()
    assert same(await store.load())
    assert "can be read by others" in caplog.text
    place.chmod(0o622)
    with pytest.raises(ConfigurationError, match="can write"):
        await store.load()


async def test_a_folder_that_others_write_is_no_place_for_a_token(place):
    place.parent.mkdir(mode=0o777)
    place.parent.chmod(0o777)
    with pytest.raises(ConfigurationError, match="no place for keys"):
        await saved(FileTokenStore(place))


async def test_a_file_that_cannot_be_deleted_is_told(place):
    place.mkdir(parents=True)
    with pytest.raises(ConfigurationError, match="cannot be deleted"):
        await FileTokenStore(place).forget()


async def test_two_processes_do_not_refresh_at_once(place):
    first, second, order = FileTokenStore(place), FileTokenStore(place), []

    async def enter():
        async with second.locked():
            order.append("second")

    async with first.locked():
        waiting = asyncio.ensure_future(enter())
        await asyncio.sleep(0.05)
        order.append("first")
    await waiting
    assert order == ["first", "second"]


async def test_who_stops_waiting_for_the_lock_leaves_none_behind(place):
    first, second = FileTokenStore(place), FileTokenStore(place)

    async def enter():
        async with second.locked():
            raise AssertionError("it was canceled before")

    async with first.locked():
        waiting = asyncio.ensure_future(enter())
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    async with asyncio.timeout(PATIENCE), first.locked():
        pass


class KeyringError(Exception):
    pass


@pytest.fixture
def keyring(monkeypatch):
    kept = {}
    module = ModuleType("keyring")
    module.errors = SimpleNamespace(KeyringError=KeyringError)
    module.get_password = lambda service, name: kept.get((service, name))
    module.set_password = lambda service, name, text: kept.update({(service, name): text})
    module.delete_password = lambda service, name: kept.pop((service, name))
    monkeypatch.setitem(sys.modules, "keyring", module)
    return SimpleNamespace(kept=kept, module=module)


async def test_a_keyring_keeps_a_token(keyring, tmp_path):
    store = await saved(KeyringTokenStore("anna", tmp_path / "state"))
    assert list(keyring.kept) == [("softphone", "anna")]
    assert same(await store.load())
    assert "keyring" in store.description
    await store.forget()
    await store.forget()
    assert await store.load() is None


async def test_a_keyring_that_fails_tells_nothing_of_the_token(keyring, tmp_path):
    def fail(service, name, text):
        raise KeyringError(f"cannot store {text}")

    keyring.module.set_password = fail
    with pytest.raises(ConfigurationError, match="KeyringError") as refused:
        await saved(KeyringTokenStore("anna", tmp_path))
    assert refused.value.__cause__ is refused.value.__context__ is None


async def test_a_missing_keyring_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigurationError, match=r"softphone\[keyring\]"):
        KeyringTokenStore("anna", tmp_path)
