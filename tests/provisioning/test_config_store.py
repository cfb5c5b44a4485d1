"""Configuration files on disk: private, whole, and no path out of the folder."""

from __future__ import annotations

import pytest

from softphone.errors import ConfigurationError
from softphone.provisioning import ConfigStore

NAME = "CSFALICE.cnf.xml.sgn"


def test_what_is_kept_is_there(tmp_path):
    store = ConfigStore(tmp_path / "store")
    assert (store.load_accepted(NAME), store.load_last_good("CSFALICE")) == (None, None)
    store.store_accepted(NAME, b"signed")
    store.store_last_good("CSFALICE", b"good")
    assert (store.load_accepted(NAME), store.load_last_good("CSFALICE")) == (b"signed", b"good")
    assert store.load_accepted("CSFBOB.cnf.xml.sgn") is None


def test_it_is_for_its_owner_only(tmp_path):
    store = ConfigStore(tmp_path / "store")
    store.store_accepted(NAME, b"signed")
    store.store_last_good("CSFALICE", b"good")
    modes = {path.name: path.stat().st_mode & 0o777 for path in store.folder.iterdir()}
    assert modes == {NAME: 0o600, "CSFALICE.last-good": 0o600}
    assert store.folder.stat().st_mode & 0o777 == 0o700


def test_what_is_the_same_is_not_written_again(tmp_path):
    store = ConfigStore(tmp_path)
    store.store_accepted(NAME, b"signed")
    before = (tmp_path / NAME).stat().st_ino
    store.store_accepted(NAME, b"signed")
    assert (tmp_path / NAME).stat().st_ino == before


@pytest.mark.parametrize("name", ["../x", "a/b.sgn", "CSFALICE/../../x", ".sgn", "CSF.\n"])
def test_no_name_leads_out_of_the_folder(tmp_path, name):
    store = ConfigStore(tmp_path / "store")
    for attempt in (lambda: store.store_accepted(name, b""), lambda: store.load_accepted(name)):
        with pytest.raises(ConfigurationError):
            attempt()
    with pytest.raises(ConfigurationError):
        store.store_last_good("../x", b"")


def test_what_cannot_be_read_is_not_missing(tmp_path):
    store = ConfigStore(tmp_path)
    (tmp_path / NAME).mkdir()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        store.load_accepted(NAME)
    (tmp_path / "CSFALICE.last-good").write_bytes(b"x" * ((1 << 20) + 1))
    with pytest.raises(ConfigurationError, match="too large"):
        store.load_last_good("CSFALICE")


def test_a_write_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    store = ConfigStore(tmp_path)
    store.store_last_good("CSFALICE", b"good")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(ConfigurationError, match="No space left"):
        store.store_last_good("CSFALICE", b"new")
    assert store.load_last_good("CSFALICE") == b"good"
    assert len(list(tmp_path.iterdir())) == 1


def test_an_installation_keeps_its_digits(tmp_path):
    store = ConfigStore(tmp_path / "store")
    first = store.installation("CSFALICE", lambda count: bytes(range(count)))
    assert first == "000102030405"
    assert store.installation("CSFALICE", lambda count: bytes(count)) == first
    assert store.installation("CSFBOB", lambda count: b"\xff" * count) == "FFFFFFFFFFFF"
    (store.folder / "CSFALICE.installation").write_text("no digits")
    assert store.installation("CSFALICE", lambda count: bytes(count)) == "000000000000"
