from __future__ import annotations

import os
import stat

import pytest

from softphone.errors import ConfigurationError
from softphone.trust import Pin, Service, TrustStore, der_of
from tests.support.certificates import authority, foreign, server

PIN = Pin(Service.SIP, "PBX.example.test.", 5061, der_of(server().certificate))


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_anchors_come_from_files_and_folders(tmp_path):
    folder = tmp_path / "authorities"
    folder.mkdir()
    authority().write(folder, "one")
    (folder / "README.txt").write_text("not a certificate")
    other = foreign().write(tmp_path, "two")
    trust = TrustStore.from_sources(folder, other)
    assert trust.anchors == (authority().certificate, foreign().certificate)
    assert trust.holds(der_of(authority().certificate))
    assert not trust.holds(PIN.certificate)
    assert not trust.system


def test_the_system_s_store_is_asked_for_by_its_word():
    trust = TrustStore.from_sources("system")
    assert trust.system
    assert trust.anchors == ()


@pytest.mark.parametrize("source", ["gone.crt", "empty"])
def test_a_source_without_certificates_is_an_error_that_names_it(tmp_path, source):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigurationError, match=source):
        TrustStore.from_sources(tmp_path / source)


def test_a_pin_belongs_to_its_service_host_and_port():
    trust = TrustStore(pins=[PIN])
    assert trust.pins(Service.SIP, "pbx.EXAMPLE.test", 5061) == (PIN.certificate,)
    assert trust.pins(Service.SIP, "pbx.example.test", 5062) == ()
    assert trust.pins(Service.HTTPS, "pbx.example.test", 5061) == ()
    assert trust.pins(Service.SIP, "example.test", 5061) == ()


def test_a_store_on_disk_is_found_again(tmp_path):
    folder = tmp_path / "deep" / "store"
    trust = TrustStore.open(folder)
    trust.add_anchor(authority().certificate)
    trust.add_anchor(foreign().certificate)
    trust.add_pin(PIN)
    trust.add_pin(PIN)
    again = TrustStore.open(folder)
    assert again.anchors == trust.anchors
    assert again.pins(*PIN.place) == (PIN.certificate,)
    assert mode(folder) == 0o700
    assert {mode(each) for each in folder.iterdir()} == {0o600}
    assert {each.name for each in folder.iterdir()} == {"anchors.pem", "pins.json", ".anchors.lock"}


def test_every_change_counts_as_a_revision():
    trust = TrustStore()
    trust.add_anchor(authority().certificate)
    trust.add_pin(PIN)
    assert trust.revision == 2


@pytest.mark.parametrize("content", [b"", b"{}", b'[{"service": "sip"}]', b'[{"service": "x"}]'])
def test_a_list_of_pins_that_is_none_is_an_error(tmp_path, content):
    (tmp_path / "pins.json").write_bytes(content)
    if content == b"{}":
        assert TrustStore.open(tmp_path).pins(*PIN.place) == ()
        return
    with pytest.raises(ConfigurationError, match=r"pins\.json is no list of pins"):
        TrustStore.open(tmp_path)


def test_a_store_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        TrustStore.open(tmp_path / "file" / "store")


def test_what_another_process_has_stored_is_seen(tmp_path):
    here, there = TrustStore.open(tmp_path), TrustStore.open(tmp_path)
    there.add_pin(PIN)
    assert here.pins(*PIN.place) == (PIN.certificate,)
    there.add_anchor(authority().certificate)
    before = here.revision
    here.pins(*PIN.place)
    assert here.anchors == there.anchors
    assert here.revision > before


def test_a_change_is_made_on_what_is_on_disk_then(tmp_path):
    here, there = TrustStore.open(tmp_path), TrustStore.open(tmp_path)
    other = Pin(Service.HTTPS, "web.example.test", 443, PIN.certificate)
    here.add_pin(PIN)
    there.add_pin(other)
    assert set(TrustStore.open(tmp_path).all_pins) == {PIN, other}


def test_a_change_that_fails_is_as_if_not_made(tmp_path, monkeypatch):
    trust = TrustStore.open(tmp_path)

    def fail(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises(ConfigurationError, match="No space left"):
            trust.add_pin(PIN)
    assert trust.pins(*PIN.place) == ()
    assert trust.all_pins == ()


def test_a_folder_can_wait_until_there_is_something_to_store(tmp_path):
    folder = tmp_path / "store"
    trust = TrustStore.open(folder, make=False)
    assert trust.pins(*PIN.place) == ()
    assert not folder.exists()
    trust.add_pin(PIN)
    assert mode(folder) == 0o700
    assert TrustStore.open(folder).pins(*PIN.place) == (PIN.certificate,)


def test_pins_are_kept_in_another_store_where_there_is_one(tmp_path):
    keep = TrustStore.open(tmp_path / "kept")
    trust = TrustStore.from_sources(authority().write(tmp_path), keep=keep)
    before = trust.revision
    trust.add_pin(PIN)
    assert trust.pins(*PIN.place) == keep.pins(*PIN.place) == (PIN.certificate,)
    assert trust.revision > before
    assert trust.anchors == (authority().certificate,)
    assert keep.anchors == ()
