"""`softphone config show|verify|decrypt`: believed, refused, opened, and never a secret."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from softphone.cli.device.config import resolve_config_file
from softphone.provisioning import ConfigStore
from softphone.trust import Bootstrap, IdentityStore, ListKind, TrustListStore
from tests.support.cluster import (
    DEVICE,
    WALL,
    content,
    identity,
    insecure,
    pin,
    sealed,
    signed,
    trust_list,
)

NAME, SEALED = f"{DEVICE}.cnf.xml.sgn", f"{DEVICE}.cnf.xml.enc.sgn"
SECRET = replace(content(), password="open sesame")


@pytest.fixture
def store(tmp_path):
    folder = tmp_path / "store"
    bootstrap = Bootstrap(frozenset({pin()}))
    TrustListStore(folder).renew(
        {kind: trust_list(kind) for kind in ListKind}, wall=WALL, bootstrap=bootstrap
    )
    IdentityStore(folder).replace(DEVICE, identity())
    return folder


@pytest.fixture
def config(cli, store, tmp_path):
    def run(command, data, *options, name=NAME):
        file = tmp_path / name
        file.write_bytes(data)
        return cli("config", command, file, "--store", store, *options)

    return run


@pytest.mark.parametrize("command", ["show", "verify", "decrypt"])
@pytest.mark.parametrize("kind", ["signed", "sealed"])
def test_a_good_file(config, command, kind):
    made, name = (signed, NAME) if kind == "signed" else (sealed, SEALED)
    outcome = config(command, made(SECRET.text()), "--json", name=name)
    assert outcome.code == 0
    assert outcome.summary["verified"] is True
    assert "open sesame" not in outcome.out + outcome.err
    outcome = config(command, made(SECRET.text()), name=name)
    assert f"{name} is good: signed by O=softphone lab,CN=tftp" in outcome.out
    assert "open sesame" not in outcome.out + outcome.err


def test_what_is_shown(config):
    outcome = config("show", sealed(SECRET.text()), "--json", name=SEALED)
    file, told = outcome.events[:2]
    assert (file["event"], file["verified"], file["basis"], file["encrypted"]) == (
        "file",
        True,
        "ctl",
        True,
    )
    assert told["event"] == "configuration"
    assert (told["security"], told["transport"], told["full"]) == ("encrypted", "tls", True)
    assert told["call_managers"][0]["host"] == "192.0.2.10"
    assert told["lines"][0]["name"] == "alice"
    assert told["lines"][0]["auth_password"] == "***"
    text = config("show", sealed(SECRET.text()), name=SEALED).out
    for word in ("verified", "call server", "192.0.2.10", "alice", "encrypted"):
        assert word in text


@pytest.mark.parametrize("command", ["show", "verify", "decrypt"])
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (lambda: signed(SECRET.text(), by="rogue"), "whom no trust list names"),
        (lambda: signed(SECRET.text(), "CSFBOB.cnf.xml.sgn"), "was asked for"),
        (lambda: signed(SECRET.text())[:-9] + b"changed!\n", "signature of"),
        (lambda: sealed(SECRET.text(), NAME)[:300], ""),
    ],
)
def test_a_bad_file_is_refused(config, command, data, words):
    outcome = config(command, data())
    assert outcome.code == 3
    assert words in outcome.err
    assert "open sesame" not in outcome.out + outcome.err


def test_a_refused_file_is_shown_as_what_it_is(config):
    outcome = config("show", signed(SECRET.text(), by="rogue"), "--json")
    assert outcome.names() == ["file", "configuration", "error", "summary"]
    assert outcome.events[0]["verified"] is False
    assert outcome.summary["result"] == "refused"


def test_an_older_file_than_the_one_accepted_is_refused(config, store):
    ConfigStore(store).store_accepted(NAME, signed(content().text(), minutes=5))
    outcome = config("verify", signed(content().text()))
    assert outcome.code == 3
    assert "older" in outcome.err


def test_the_name_may_be_given(config):
    data = signed(content().text())
    assert config("verify", data, name="saved.sgn").code == 3
    assert config("verify", data, "--name", NAME, name="saved.sgn").code == 0


def test_a_file_for_another_device_does_not_open(config, store):
    data = sealed(SECRET.text(), to=identity("CSFBOB"))
    outcome = config("decrypt", data, name=SEALED)
    assert outcome.code == 3
    IdentityStore(store).replace("CSFBOB", identity("CSFBOB"))
    assert config("decrypt", data, "--device", "CSFBOB", name=SEALED).code == 0


def test_what_is_decrypted_may_be_written(config, tmp_path):
    out = tmp_path / "plain.xml"
    outcome = config("decrypt", sealed(SECRET.text()), "--out", out, name=SEALED)
    assert outcome.code == 0
    assert out.read_bytes() == SECRET.text()
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert "open sesame" not in outcome.out + outcome.err


def test_a_file_in_clear_is_nobodys(config):
    plain = f"{DEVICE}.cnf.xml"
    outcome = config("verify", insecure().text(), "--json", name=plain)
    assert (outcome.code, outcome.summary["verified"]) == (0, False)
    assert config("verify", content().text(), name=plain).code == 3
    assert config("show", content().text(), name=plain).code == 0
    assert config("decrypt", insecure().text(), name=plain).code == 3


def test_what_cannot_be_read(config, cli, store, tmp_path):
    assert cli("config", "verify", tmp_path / "none", "--store", store).code == 2
    assert config("show", b"x" * ((1 << 20) + 1)).code == 2
    assert config("show", b"<device", name="x.cnf.xml").code == 3


def test_a_device_s_name_stands_for_what_the_store_has_of_it(cli, store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    nothing = cli("config", "show", DEVICE, "--store", store)
    assert (nothing.code, f"{DEVICE} cannot be read" in nothing.err) == (2, True)
    for name, made in ((NAME, signed), (SEALED, sealed)):
        ConfigStore(store).store_accepted(name, made(SECRET.text()))
        outcome = cli("config", "show", DEVICE, "--store", store)
        assert outcome.code == 0, outcome.err
        assert f"{name} is good" in outcome.out
    # A file of that name is that file, and so is what has a folder.
    (tmp_path / DEVICE).write_bytes(b"")
    for file in (Path(DEVICE), Path("elsewhere", DEVICE), store / NAME):
        assert resolve_config_file(file, store) == file
