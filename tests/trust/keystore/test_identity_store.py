"""Identities on disk: swapped at one stroke, the old one kept until the new one is proved."""

from __future__ import annotations

import os
import stat

import pytest

from softphone.errors import ConfigurationError
from softphone.security import KeyMaterial
from softphone.trust import check_credential
from softphone.trust.csr import KeyKind
from softphone.trust.keystore import IdentityStore, identity_store
from tests.support.capf import DEVICE, lsc_of

KINDS = (KeyKind.EC_P256, KeyKind.EC_P384, KeyKind.RSA_2048)


@pytest.fixture
def store(tmp_path):
    return IdentityStore(tmp_path / "store")


@pytest.fixture(scope="module")
def identities():
    return [lsc_of(kind) for kind in KINDS]


def test_files_are_for_their_owner_only(store, identities):
    store.replace(DEVICE, identities[0])
    store.replace(DEVICE, identities[1])
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in store.folder.iterdir()} == {0o600}
    assert {each.suffix for each in store.folder.iterdir()} == {".pem", ".lock"}


def test_tls_takes_the_one_file_as_certificate_and_key(store, identities):
    with pytest.raises(ConfigurationError, match="no certificate of CSFALICE"):
        store.credential(DEVICE)
    store.replace(DEVICE, identities[0])
    check_credential(store.credential(DEVICE), wall=identities[0].certificate.not_valid_before_utc)


def test_the_old_identity_stays_until_the_new_one_is_confirmed(store, identities):
    first, second, _ = identities
    store.replace(DEVICE, first)
    assert store.previous(DEVICE) is None
    store.replace(DEVICE, second)
    assert (store.load(DEVICE), store.previous(DEVICE)) == (second, first)
    store.confirm(DEVICE)
    assert (store.load(DEVICE), store.previous(DEVICE)) == (second, None)


def test_what_never_registered_does_not_push_out_what_had(store, identities):
    for each in identities:
        store.replace(DEVICE, each)
    assert store.load(DEVICE) == identities[2]
    assert store.previous(DEVICE) == identities[0]


def test_one_can_go_back(store, identities):
    assert not store.revert(DEVICE)
    store.replace(DEVICE, identities[0])
    store.replace(DEVICE, identities[1])
    assert store.revert(DEVICE)
    assert (store.load(DEVICE), store.previous(DEVICE)) == (identities[0], None)


def test_deleting_deletes_both(store, identities):
    assert not store.delete(DEVICE)
    store.replace(DEVICE, identities[0])
    store.replace(DEVICE, identities[1])
    assert store.delete(DEVICE)
    assert [each.name for each in store.folder.iterdir()] == [".identities.lock"]


@pytest.mark.parametrize("fails_at", [0, 1])
def test_a_disk_that_fails_leaves_the_old_identity_in_use(store, identities, monkeypatch, fails_at):
    store.replace(DEVICE, identities[0])
    calls = []

    def failing(path, data):
        calls.append(path)
        if len(calls) > fails_at:
            raise ConfigurationError("the disk is full")
        path.write_bytes(data)

    monkeypatch.setattr(identity_store, "write_private", failing)
    with pytest.raises(ConfigurationError, match="disk is full"):
        store.replace(DEVICE, identities[1])
    assert store.load(DEVICE) == identities[0]


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a b", "x" * 65, "a\0b", "a.pem"])
def test_a_name_cannot_leave_the_folder(store, name):
    with pytest.raises(ConfigurationError, match="no device name"):
        store.path(name)


def test_devices_do_not_see_each_other(store, identities):
    store.replace(DEVICE, identities[0])
    assert store.load("CSFBOB") is None


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        IdentityStore(tmp_path / "file" / "store")


def test_a_broken_file_is_said_and_not_replaced_silently(store):
    store.path(DEVICE).write_bytes(b"half a f")
    with pytest.raises(ConfigurationError, match=DEVICE):
        store.load(DEVICE)
    assert os.listdir(store.folder) == [f"{DEVICE}.pem"]


def test_keys_are_encrypted_where_there_is_a_passphrase(tmp_path, identities):
    plain = IdentityStore(tmp_path / "store")
    plain.replace(DEVICE, identities[0])
    secret = KeyMaterial(b"open sesame")
    store = IdentityStore(tmp_path / "store", passphrase=secret)
    assert store.load(DEVICE) == identities[0]
    assert store.credential(DEVICE).password is None
    store.replace(DEVICE, identities[1])
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in store.path(DEVICE).read_bytes()
    assert store.load(DEVICE) == identities[1]
    assert store.credential(DEVICE).password is secret
    check_credential(store.credential(DEVICE))
    with pytest.raises(ConfigurationError, match="is encrypted: give its passphrase"):
        plain.load(DEVICE)
    wrong = IdentityStore(tmp_path / "store", passphrase=KeyMaterial(b"guess"))
    with pytest.raises(ConfigurationError, match="does not open with this passphrase"):
        wrong.load(DEVICE)
