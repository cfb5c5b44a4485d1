"""`softphone trust accepted`: what a person has accepted, and how it is taken back."""

from __future__ import annotations

import pytest

from softphone.trust import Pin, Service, TrustStore, der_of, fingerprint_of
from tests.support.certificates import foreign, server

MINE, OTHER = der_of(server().certificate), der_of(foreign().certificate)


@pytest.fixture
def store(tmp_path):
    """A store in which one certificate is accepted in two places, and another in one."""
    folder = tmp_path / "store"
    made = TrustStore.open(folder)
    made.add_pin(Pin(Service.SIP, "pbx.example.test", 5061, MINE))
    made.add_pin(Pin(Service.HTTPS, "pbx.example.test", 443, MINE))
    made.add_pin(Pin(Service.SIP, "other.example.test", 5061, OTHER))
    return folder


def test_what_was_accepted_is_shown_with_whole_fingerprints(cli, store, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    shown = cli("trust", "accepted", "--store", store)
    assert shown.code == 0
    assert "sip at pbx.example.test port 5061" in shown.out
    assert shown.out.count(fingerprint_of(MINE)) == 2
    assert f"3 accepted in {store}" in shown.out


def test_one_is_taken_away_wherever_it_was_accepted_and_the_rest_stays(cli, store):
    sha256 = fingerprint_of(MINE).upper()
    shown = cli("trust", "accepted", "--store", store, "--remove", f"sha256:{sha256}", "--json")
    assert shown.code == 0
    assert [each["sha256"] for each in shown.events if each["event"] == "removed"] == [
        fingerprint_of(MINE)
    ] * 2
    assert shown.summary["accepted"] == 1
    left = TrustStore.open(store).all_pins
    assert [(pin.host, pin.certificate) for pin in left] == [("other.example.test", OTHER)]
    assert (store / "pins.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("named", "why"),
    [("sha", "expected a SHA-256"), ("00" * 32, "no accepted certificate has this SHA-256")],
)
def test_what_is_not_there_takes_nothing_away(cli, store, named, why):
    arguments = ("--remove", fingerprint_of(MINE), "--remove", named)
    failed = cli("trust", "accepted", "--store", store, *arguments)
    assert failed.code == 2
    assert why in failed.err
    assert len(TrustStore.open(store).all_pins) == 3


def test_a_store_that_is_not_there_has_none_and_is_not_made(cli, tmp_path):
    shown = cli("trust", "accepted", "--store", tmp_path / "none", "--json")
    assert (shown.code, shown.summary["accepted"]) == (0, 0)
    assert not (tmp_path / "none").exists()


def test_a_pin_is_taken_from_the_store_that_keeps_it_and_from_memory():
    keep = TrustStore()
    store = TrustStore(keep=keep)
    pin = Pin(Service.SIP, "pbx.example.test", 5061, MINE)
    store.add_pin(pin)
    assert store.pins(*pin.place) == (MINE,)
    before = store.revision
    own = TrustStore(pins=[pin], keep=store)
    own.remove_pin(pin)
    assert own.pins(*pin.place) == store.pins(*pin.place) == keep.all_pins == ()
    assert store.revision > before
    store.remove_pin(pin)
