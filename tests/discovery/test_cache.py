"""What is kept of a discovery: for its owner only, for a day, and never unread."""

from __future__ import annotations

import stat

import pytest

from softphone.discovery import CachedDiscovery, DiscoveryCache, ServiceRecord, ServiceTarget
from softphone.discovery.jabber_config import ConfigSetting
from softphone.errors import ConfigurationError

FOUND = CachedDiscovery(
    100.0,
    {ServiceRecord.CISCO_UDS: (ServiceTarget("cucm.example.test", 8443),)},
    (ConfigSetting("Policies", "Disable_IM_History", "true"),),
    "https://cucm.example.test:6972/jabber-config.xml",
    50.0,
    (ServiceTarget("login.other.test", 8443),),
)


def test_what_is_stored_is_loaded_and_for_its_owner_only(tmp_path):
    cache = DiscoveryCache(tmp_path / "made" / "found")
    assert cache.load("alice@example.test") == CachedDiscovery()
    cache.store("alice@example.test", FOUND)
    assert cache.load("alice@example.test") == FOUND
    assert cache.load("bob@example.test") == CachedDiscovery()
    (path,) = cache.folder.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(cache.folder.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("wall", "records", "settings"),
    [(100.0, True, True), (86_451.0, True, False), (86_500.0, False, False), (0.0, False, False)],
)
def test_it_counts_for_a_day_from_when_it_was_taken(wall, records, settings):
    assert FOUND.valid_at(wall) is records
    assert (FOUND.configuration(wall) is not None) is settings


def test_a_name_with_dots_and_slashes_stays_in_the_folder(tmp_path):
    cache = DiscoveryCache(tmp_path)
    cache.store("a/../b@example.test", FOUND)
    assert [each.name for each in tmp_path.iterdir()] == ["a%2F..%2Fb@example.test.json"]
    for name in (f"{'x' * 300}@example.test", "../x@example.test", "\ud800@c"):
        with pytest.raises(ConfigurationError):
            cache.store(name, FOUND)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[" * 100_000,
        '{"version": 2}',
        '{"version": 1, "taken": "x"}',
        f'{{"version": 1, "taken": 1{"0" * 400}}}',
        '{"version": 1, "taken": 1, "records": {"x": []}, "settings": [], "config_url": "",'
        ' "config_taken": 0, "confirmed": []}',
        '{"version": 1, "taken": 1, "records": {}, "settings": [], "config_url": "",'
        ' "config_taken": 0, "confirmed": [["192.0.2.1", 1]]}',
        '{"version": 1, "taken": 1, "records": {}, "settings": [["a", "b", 3]], "config_url": "",'
        ' "config_taken": 0, "confirmed": []}',
    ],
)
def test_a_damaged_file_is_named(tmp_path, text):
    cache = DiscoveryCache(tmp_path)
    cache.store("alice@example.test", FOUND)
    (path,) = tmp_path.iterdir()
    path.write_text(text)
    with pytest.raises(ConfigurationError, match="delete it"):
        cache.load("alice@example.test")


def test_a_file_that_others_can_write_is_not_believed(tmp_path):
    cache = DiscoveryCache(tmp_path)
    cache.store("alice@example.test", FOUND)
    (path,) = tmp_path.iterdir()
    path.chmod(0o622)
    with pytest.raises(ConfigurationError, match="can write"):
        cache.load("alice@example.test")
