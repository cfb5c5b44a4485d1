"""`softphone trust roots`: the authorities of the cloud services in files, stores, the system."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from softphone.trust import TrustStore, der_of, fingerprint_of
from softphone.trust.certificate import public_roots
from tests.support.pki import Pki


@pytest.fixture(scope="module")
def root():
    return Pki().root.certificate


@pytest.fixture
def known(monkeypatch, root):
    """A table in which the first authority is one that we have made, and withdrawn."""
    first, *others = public_roots.CLOUD_AUTHORITIES
    digest = fingerprint_of(der_of(root)).replace(":", "").lower()
    made = replace(first, name="made", sha256=digest, withdrawn=date(2020, 1, 1))
    defaults = public_roots.find_authorities.__kwdefaults__
    monkeypatch.setitem(defaults, "authorities", (made, *others))


@pytest.fixture
def file(tmp_path, root):
    path = tmp_path / "root.pem"
    path.write_bytes(root.public_bytes(Encoding.PEM))
    return path


def authorities(done):
    assert done.code == 0, done.err
    return {each["name"]: each for each in done.events if each["event"] == "authority"}


def test_a_file_that_holds_one(cli, known, file):
    done = cli("trust", "roots", "--ca", file, "--json")
    found = authorities(done)
    assert [name for name, each in found.items() if each["held"]] == ["made"]
    assert found["made"]["state"] == "withdrawn"
    assert found["made"]["withdrawn"] == "2020-01-01"
    assert found["made"]["advice"].startswith("remove it")
    assert found["VeriSign Class 3 Secure Server CA - G3"]["kind"] == "intermediate"
    assert (done.summary["held"], done.summary["stale"]) == (1, 1)


def test_a_store_is_looked_into_and_then_not_the_system(cli, known, root, tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    TrustStore.open(tmp_path / "store").add_anchor(root)
    done = cli("trust", "roots", "--store", tmp_path / "store", "--json")
    assert authorities(done)["made"]["held"]


def test_the_system_is_looked_into_by_default(cli, known, file, tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    assert authorities(cli("trust", "roots", "--json"))["made"]["held"]


def test_a_system_that_cannot_be_listed_is_an_error(cli, tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    failed = cli("trust", "roots", "--ca", "system")
    assert failed.code == 2
    assert "--ca" in failed.err


def test_people_see_a_table_and_whole_fingerprints(cli, file, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    shown = cli("trust", "roots", "--ca", file)
    assert shown.code == 0
    assert "holds 0 of 4" in shown.out
    for each in public_roots.CLOUD_AUTHORITIES:
        assert each.name in shown.out
        assert each.sha256 in shown.out
