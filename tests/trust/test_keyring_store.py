"""Certificates that were accepted, kept in the desktop's keyring.

The keyring is a stand-in for the package, which tests do not install: what it keeps is looked at.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from softphone.config import load_account
from softphone.config.tls import trust_store_of
from softphone.errors import ConfigurationError
from softphone.trust import Pin, Service, TrustStore, der_of
from tests.support.certificates import authority, server

PIN = Pin(Service.SIP, "pbx.example.test", 5061, der_of(server().certificate))
OTHER = Pin(Service.HTTPS, "pbx.example.test", 443, der_of(server().certificate))


class KeyringError(Exception):
    pass


@pytest.fixture
def keyring(monkeypatch):
    kept = {}
    module = ModuleType("keyring")
    module.errors = SimpleNamespace(KeyringError=KeyringError)
    module.get_password = lambda service, name: kept.get((service, name))
    module.set_password = lambda service, name, text: kept.update({(service, name): text})
    monkeypatch.setitem(sys.modules, "keyring", module)
    return SimpleNamespace(kept=kept, module=module)


def pinned(store: TrustStore) -> list[bool]:
    return [bool(store.pins(*each.place)) for each in (PIN, OTHER)]


def test_what_is_accepted_is_there_for_the_next_process(keyring):
    store = TrustStore.open("keyring:phone")
    assert pinned(store) == [False, False]
    before = store.revision
    store.add_pin(PIN)
    assert store.revision > before
    assert list(keyring.kept) == [("softphone certificates", "phone")]
    again = TrustStore.open(Path("keyring:phone"))
    assert again.all_pins == (PIN,)
    assert pinned(again) == [True, False]
    assert TrustStore.open("keyring:another").all_pins == ()


def test_authorities_are_kept_as_well(keyring):
    TrustStore.open("keyring:phone").add_anchor(authority().certificate)
    store = TrustStore.open("keyring:phone")
    store.add_pin(PIN)
    assert TrustStore.open("keyring:phone").anchors == (authority().certificate,)
    assert TrustStore.open("keyring:phone").all_pins == (PIN,)


def test_what_another_process_has_accepted_meanwhile_stays(keyring):
    one, two = TrustStore.open("keyring:phone"), TrustStore.open("keyring:phone")
    one.add_pin(PIN)
    two.add_pin(OTHER)
    two.add_pin(OTHER)
    assert pinned(TrustStore.open("keyring:phone")) == [True, True]
    assert len(TrustStore.open("keyring:phone").all_pins) == 2


def test_a_keyring_that_cannot_write_leaves_the_store_as_it_was(keyring):
    store = TrustStore.open("keyring:phone")
    store.add_pin(PIN)

    def fail(service, name, text):
        raise KeyringError("it is\nlocked.")

    keyring.module.set_password = fail
    with pytest.raises(ConfigurationError, match="keyring:phone cannot be used: it is locked: "):
        store.add_pin(OTHER)
    assert pinned(store) == [True, False]


def test_a_keyring_that_keeps_nothing_is_told(keyring):
    keyring.module.set_password = lambda service, name, text: None
    with pytest.raises(ConfigurationError, match="keyring:phone keeps nothing: start a keyring"):
        TrustStore.open("keyring:phone").add_pin(PIN)


def test_where_there_is_no_keyring_the_error_says_what_to_do(keyring, monkeypatch):
    def fail(service, name):
        raise KeyringError("")

    keyring.module.get_password = fail
    with pytest.raises(
        ConfigurationError, match=r"cannot be used: KeyringError: .* or name a folder"
    ):
        TrustStore.open("keyring:phone")
    with pytest.raises(ConfigurationError, match="give a name behind it"):
        TrustStore.open("keyring:")
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigurationError, match=r"softphone\[keyring\]"):
        TrustStore.open("keyring:phone")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "3",
        "{}",
        '{"anchors": 3, "pins": []}',
        '{"anchors": "-----BEGIN", "pins": []}',
        '{"anchors": "", "pins": 3}',
        '{"anchors": "", "pins": [{"service": "sip"}]}',
        '{"anchors": "\\u00e4", "pins": []}',
        json.dumps(
            {
                "anchors": "",
                "pins": [{"service": "sip", "host": "h", "port": 1, "certificate": "?"}],
            }
        ),
    ],
)
def test_a_damaged_item_is_refused_and_not_written_over(text, keyring):
    keyring.kept["softphone certificates", "phone"] = text
    with pytest.raises(ConfigurationError, match="the item of the keyring is no store"):
        TrustStore.open("keyring:phone")
    assert keyring.kept == {("softphone certificates", "phone"): text}


def test_an_account_file_names_it_in_place_of_a_folder(keyring, tmp_path):
    authority().write(tmp_path, "ca")
    path = tmp_path / "anna.toml"
    path.write_text(
        'aor = "sip:anna@example.test"\nregistrar = "sips:pbx.example.test"\n'
        '[tls]\nca = "ca.crt"\nstore = "keyring:phone"\n'
    )
    config = load_account(path).config
    assert config.tls.store == "keyring:phone"
    store = trust_store_of(config.tls)
    assert store.anchors == (authority().certificate,)
    store.add_pin(PIN)
    assert TrustStore.open("keyring:phone").all_pins == (PIN,)
    assert not list(tmp_path.glob("keyring*"))
