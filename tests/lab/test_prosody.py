"""The lab's chat: what it says where Prosody is missing or does not start; the rest is in peers."""

from __future__ import annotations

import asyncio
import secrets
import shutil

import pytest

from softphone.config.messaging_file import load_messaging
from softphone.errors import ConfigurationError, TransportError
from softphone.lab import DOMAIN, LabConfig, LabServer, find_prosody, prosody
from softphone.lab.account_files import LabFiles
from softphone.lab.prosody import LabChatServer


def lab_chat(folder):
    files = LabFiles(folder, LabConfig(), entropy=secrets.token_bytes)
    return LabChatServer(files, "127.0.0.1", ["alice", "bob"], entropy=secrets.token_bytes)


def program(folder, monkeypatch, text):
    path = folder / "bin" / "prosody"
    path.parent.mkdir()
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)
    monkeypatch.setenv("PATH", f"{path.parent}:/usr/bin:/bin")
    return str(path)


async def test_without_prosody_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(prosody, "find_prosody", lambda: None)
    with pytest.raises(ConfigurationError, match="apt-get install prosody"):
        async with LabServer(tmp_path, LabConfig(chat=True)):
            raise AssertionError("started")


async def test_one_that_does_not_start_is_told_of(tmp_path, monkeypatch):
    path = program(tmp_path, monkeypatch, "seq 100; printf 'no \\033[31mlua\\n'; exit 7")
    assert find_prosody() == path
    with pytest.raises(TransportError, match=r"\(status 7\): see .*prosody\.log") as caught:
        async with lab_chat(tmp_path):
            raise AssertionError("started")
    # The end of its log says why, and gives a terminal no orders.
    assert str(caught.value).splitlines()[-2:] == ["  100", "  no [31mlua"]
    assert len(str(caught.value).splitlines()) == 11


async def test_it_is_started_with_nothing_that_is_set_for_us(tmp_path, monkeypatch):
    given = tmp_path / "given"
    program(tmp_path, monkeypatch, f"env > {given}; exit 1")
    for name in ("OPENSSL_CONF", "OPENSSL_MODULES", "SOFTPHONE_FIPS_FOLDER", "LUA_INIT"):
        monkeypatch.setenv(name, str(tmp_path / "of-ours"))
    with pytest.raises(TransportError):
        await lab_chat(tmp_path).__aenter__()
    assert "PATH=" in given.read_text()
    assert "of-ours" not in given.read_text()


async def test_the_lab_goes_on_without_one_that_does_not_start(tmp_path, monkeypatch, caplog):
    program(tmp_path, monkeypatch, "exit 1")
    async with LabServer(tmp_path, LabConfig(chat=True)) as lab:
        assert lab.chat is None
        assert lab.addresses
    assert "the lab has no chat: Prosody did not start" in caplog.text


async def test_what_it_writes_is_its_owner_s_and_can_be_read(tmp_path, monkeypatch):
    program(tmp_path, monkeypatch, "exit 1")
    own = lab_chat(tmp_path)
    with pytest.raises(TransportError):
        await own.__aenter__()
    config = load_messaging(own.accounts["alice"]).config
    assert (config.jid, config.policy.negotiates) == (f"alice@{DOMAIN}", True)
    assert config.server == f"127.0.0.1:{own.address[1]}"
    written = list((tmp_path / "chat").rglob("*.dat"))
    assert sorted(path.stem for path in written) == ["alice", "bob"]
    assert {path.stat().st_mode & 0o777 for path in written} == {0o600}
    assert (tmp_path / "chat").stat().st_mode & 0o777 == 0o700


async def test_one_that_is_given_up_while_it_starts_leaves_nothing(tmp_path, monkeypatch):
    """Its keys and passwords were written on, into a folder that had been removed."""
    program(tmp_path, monkeypatch, "exec sleep 60")
    own = lab_chat(tmp_path / "lab")
    began, loop, write = asyncio.Event(), asyncio.get_running_loop(), own._write

    def slowly():
        loop.call_soon_threadsafe(began.set)
        write()

    monkeypatch.setattr(own, "_write", slowly)
    starting = asyncio.ensure_future(own.__aenter__())
    await began.wait()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    shutil.rmtree(tmp_path / "lab")
    await asyncio.sleep(0.3)
    assert not (tmp_path / "lab").exists()
