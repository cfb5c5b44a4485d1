"""Where a passphrase comes from: a descriptor, a keyring, or somebody at the terminal."""

from __future__ import annotations

import io
import os
import sys
from types import SimpleNamespace

import pytest

from softphone.cli.console import passphrase
from softphone.cli.console.options import PassphraseOptions
from softphone.cli.console.passphrase import passphrase_if_given, read_passphrase
from softphone.errors import ConfigurationError


@pytest.fixture
def pipe():
    def made(data):
        reading, writing = os.pipe()
        os.write(writing, data)
        os.close(writing)
        opened.append(reading)
        return reading

    opened = []
    yield made
    for handle in opened:
        os.close(handle)


@pytest.mark.parametrize("data", [b"open sesame", b"open sesame\n", b"open sesame\r\nmore\n"])
async def test_a_descriptor_gives_its_first_line(pipe, data):
    secret = await read_passphrase(PassphraseOptions(passphrase_fd=pipe(data)), "a key")
    assert secret.reveal() == b"open sesame"
    assert "sesame" not in repr(secret)


@pytest.mark.parametrize("data", [b"", b"\n", b"x" * 2000])
async def test_a_descriptor_without_a_passphrase_is_an_error(pipe, data):
    with pytest.raises(ConfigurationError, match="there is no passphrase in it"):
        await read_passphrase(PassphraseOptions(passphrase_fd=pipe(data)), "a key")


async def test_a_descriptor_that_is_not_open_is_an_error():
    with pytest.raises(ConfigurationError, match=r"--passphrase-fd 987: Bad file"):
        await read_passphrase(PassphraseOptions(passphrase_fd=987), "a key")


class Locked(Exception):
    pass


def keyring(answer):
    def get_password(service, name):
        assert service == "softphone"
        if isinstance(answer, Exception):
            raise answer
        return answer if name == "office" else None

    return SimpleNamespace(get_password=get_password, errors=SimpleNamespace(KeyringError=Locked))


async def test_a_keyring_gives_what_is_stored_there(monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", keyring("open sesame"))
    assert (
        await read_passphrase(PassphraseOptions(keyring="office"), "a key")
    ).reveal() == b"open sesame"
    with pytest.raises(ConfigurationError, match="keyring set softphone home"):
        await read_passphrase(PassphraseOptions(keyring="home"), "a key")
    monkeypatch.setitem(sys.modules, "keyring", keyring(Locked("open sesame")))
    with pytest.raises(ConfigurationError, match="cannot be read: Locked") as caught:
        await read_passphrase(PassphraseOptions(keyring="office"), "a key")
    assert "sesame" not in str(caught.value)


async def test_without_the_keyring_package_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigurationError, match=r"pip install .*\[keyring\]'"):
        await read_passphrase(PassphraseOptions(keyring="office"), "a key")


def answers(monkeypatch, *said):
    waiting = list(said)

    async def ask(prompt, *, secret, otherwise):
        assert secret
        assert "--passphrase-fd" in otherwise
        return waiting.pop(0)

    monkeypatch.setattr(passphrase, "ask_line", ask)


async def test_a_new_passphrase_is_asked_for_twice(monkeypatch):
    answers(monkeypatch, "one", "one", "one", "two", "")
    source = PassphraseOptions(ask_passphrase=True)
    assert source.is_given
    assert (await read_passphrase(source, "the key", twice=True)).reveal() == b"one"
    with pytest.raises(ConfigurationError, match="the two passphrases differ"):
        await read_passphrase(source, "the key", twice=True)
    with pytest.raises(ConfigurationError, match="no passphrase was given"):
        await read_passphrase(source, "the key")


async def test_where_nobody_can_be_asked_it_says_how_else(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("open sesame\n"))
    words = r"nobody to ask: Passphrase of ke\.pem: give it with --passphrase-fd or --keyring$"
    for source in (PassphraseOptions(), PassphraseOptions(ask_passphrase=True)):
        with pytest.raises(ConfigurationError, match=words):
            await read_passphrase(source, "ke.pem")


async def test_one_source_is_enough():
    with pytest.raises(ConfigurationError, match="name one source"):
        await read_passphrase(PassphraseOptions(passphrase_fd=3, keyring="office"), "a key")
    assert not PassphraseOptions().is_given


async def test_nobody_is_asked_where_no_source_was_named(pipe):
    assert await passphrase_if_given(None, "a key") is None
    assert await passphrase_if_given(PassphraseOptions(), "a key") is None
    named = PassphraseOptions(passphrase_fd=pipe(b"open sesame"))
    assert (await passphrase_if_given(named, "a key")).reveal() == b"open sesame"
