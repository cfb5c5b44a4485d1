"""Whoever can write in a store decides whom we believe: such a folder is no store."""

from __future__ import annotations

import os

import pytest

from softphone.errors import ConfigurationError
from softphone.trust import IdentityStore, TrustListStore, TrustStore
from softphone.trust.disk import locked, make_folder
from tests.support.certificates import authority
from tests.support.cluster import boot_from, full_shelf


@pytest.fixture
def shared(tmp_path):
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


@pytest.mark.parametrize("use", [IdentityStore, TrustStore.open, make_folder])
def test_one_that_everybody_can_write_in(shared, use):
    with pytest.raises(ConfigurationError, match=r"everybody on this machine .* chmod 700"):
        use(shared)


async def test_nobody_boots_from_it(shared):
    with pytest.raises(ConfigurationError, match="everybody on this machine"):
        await boot_from(full_shelf(), shared)
    assert list(shared.iterdir()) == []


async def test_lists_that_are_there_already_are_not_believed(tmp_path):
    await boot_from(full_shelf(), tmp_path / "store")
    (tmp_path / "store").chmod(0o707)
    with pytest.raises(ConfigurationError, match="everybody on this machine"):
        TrustListStore(tmp_path / "store").held()


def test_an_anchor_is_not_added_to_one_that_was_opened_before(tmp_path):
    store = TrustStore.open(tmp_path / "store")
    (tmp_path / "store").chmod(0o702)
    with pytest.raises(ConfigurationError, match="everybody on this machine"):
        store.add_anchor(authority().certificate)


def test_one_of_another_user(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(ConfigurationError, match="belongs to another user"):
        make_folder(tmp_path)


def test_a_lock_that_leads_elsewhere_is_not_followed(tmp_path):
    (tmp_path / ".lock").symlink_to(tmp_path / "victim")
    with pytest.raises(ConfigurationError, match="cannot be opened"), locked(tmp_path / ".lock"):
        pass
    assert not (tmp_path / "victim").exists()
