"""Whoever can write in a store decides whom we believe: such a folder is no store."""

from __future__ import annotations

import os

import pytest

from softphone.errors import ConfigurationError
from softphone.provisioning.config_store import ConfigStore
from softphone.trust import IdentityStore, Pin, Service, TrustListStore, TrustStore
from softphone.trust.disk import locked, make_folder
from softphone.trust.fips.setup import find_setup, make_setup
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


@pytest.mark.parametrize("mode", [0o770, 0o720, 0o2775, 0o1770])
@pytest.mark.parametrize(
    "use",
    [
        IdentityStore,
        TrustStore.open,
        lambda folder: TrustStore.open(folder, make=False),
        lambda folder: TrustListStore(folder).held(),
        lambda folder: TrustListStore(folder).reset(),
        lambda folder: ConfigStore(folder).load_last_good("CSFALICE"),
        lambda folder: ConfigStore(folder).load_accepted("CSFALICE.cnf.xml.sgn"),
        lambda folder: ConfigStore(folder).store_last_good("CSFALICE", b"<device/>"),
        make_folder,
        find_setup,
        make_setup,
    ],
)
def test_one_that_a_group_can_write_in(tmp_path, use, mode):
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(ConfigurationError, match=r"its group can write .* chmod 700"):
        use(folder)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("mode", [0o700, 0o750, 0o755, 0o711])
def test_one_that_others_can_only_look_at_is_used(tmp_path, mode):
    folder = tmp_path / "own"
    folder.mkdir()
    folder.chmod(mode)
    TrustStore.open(folder).add_anchor(authority().certificate)
    assert len(TrustStore.open(folder, make=False).anchors) == 1


def test_pins_are_not_read_again_from_one_that_was_opened_up(tmp_path):
    store = TrustStore.open(tmp_path / "store")
    own = TrustStore.open(tmp_path / "store")
    own.add_pin(Pin(Service.SIP, "pbx.test", 5061, b"x"))
    (tmp_path / "store").chmod(0o770)
    with pytest.raises(ConfigurationError, match="its group"):
        store.pins(Service.SIP, "pbx.test", 5061)


async def test_a_configuration_in_clear_is_not_taken_from_one(tmp_path):
    # The last good one needs no signature where a cluster has no lists.
    ConfigStore(tmp_path / "store").store_last_good("CSFALICE", b"<device/>")
    (tmp_path / "store").chmod(0o770)
    with pytest.raises(ConfigurationError, match="its group"):
        await boot_from(full_shelf(), tmp_path / "store")


def test_one_of_another_user(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(ConfigurationError, match="belongs to another user"):
        make_folder(tmp_path)


def test_a_lock_that_leads_elsewhere_is_not_followed(tmp_path):
    (tmp_path / ".lock").symlink_to(tmp_path / "victim")
    with pytest.raises(ConfigurationError, match="cannot be opened"), locked(tmp_path / ".lock"):
        pass
    assert not (tmp_path / "victim").exists()
