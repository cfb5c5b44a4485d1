"""`softphone trust verify`: the chain, every check, the verdict, and what would mend it."""

from __future__ import annotations

import re

import pytest


@pytest.fixture
def place(lab):
    text = lab["alice"].read_text()
    return re.search(r'registrar = "sips?:([^";]+)', text)[1]


@pytest.fixture(autouse=True)
def at_home(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "200")


def test_a_server_that_is_believed_is_shown_with_every_check(cli, lab, place):
    ca = lab["alice"].parent / "ca.crt"
    done = cli("trust", "verify", place, "--service", "sip", "--ca", ca, "--json")
    assert done.code == 0, done.err
    assert done.names()[-1] == "summary"
    assert done.summary["verdict"] == "chain"
    checks = {e["name"]: e for e in done.events if e["event"] == "check"}
    assert set(checks) == {"path", "dates", "keys and signatures", "RFC 5280", "name", "revocation"}
    assert all(check["passes"] for check in checks.values())
    certificates = [e for e in done.events if e["event"] == "certificate"]
    assert certificates[0]["subject"] == "CN=lab,O=softphone lab"
    assert all(each["verified"] for each in certificates)


def test_one_that_is_unknown_says_what_would_make_it_pass(cli, place):
    refused = cli("trust", "verify", place, "--service", "sip", "--json")
    assert refused.code == 3
    assert refused.summary["result"] == "refused"
    checks = {e["name"]: e for e in refused.events if e["event"] == "check"}
    assert not checks["path"]["passes"]
    assert "--accept-fingerprint" in checks["path"]["remedy"]
    assert checks["name"]["passes"]


def test_a_wrong_name_is_told_with_the_right_ones(cli, lab, place):
    ca = lab["alice"].parent / "ca.crt"
    refused = cli(
        *("trust", "verify", place, "--service", "https", "--ca", ca, "--json"),
        *("--name", "other.example.test"),
    )
    assert refused.code == 3
    checks = {e["name"]: e for e in refused.events if e["event"] == "check"}
    assert checks["path"]["passes"]
    assert "ip:127.0.0.1" in checks["name"]["remedy"]


def test_a_person_sees_tables(cli, lab, place):
    ca = lab["alice"].parent / "ca.crt"
    shown = cli("trust", "verify", place, "--service", "sip", "--ca", ca).out
    for words in ("What the server shows", "what would make it pass", "accepted, by chain"):
        assert words in shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere", "--service", "sip"), "expected HOST:PORT"),
        (("a:0", "--service", "sip"), "expected HOST:PORT"),
        (("a:1", "--service", "ftp"), "expected one of sip, https, xmpp, capf"),
        (("a:1", "--service", "sip", "--allow", "md5"), "md5"),
        (("a:1", "--service", "sip", "--revocation", "maybe"), "maybe"),
    ],
)
def test_what_makes_no_sense_is_an_error(cli, arguments, words):
    refused = cli("trust", "verify", *arguments)
    assert refused.code == 2
    assert words in refused.err


def test_a_port_without_a_server_is_a_failure(cli, unused_tcp_port):
    failed = cli("trust", "verify", f"127.0.0.1:{unused_tcp_port}", "--service", "sip")
    assert failed.code == 1
    assert "cannot be reached" in failed.err


def test_the_certificates_of_a_deployment_are_shown(cli):
    shown = cli("trust", "requirements")
    assert shown.code == 0
    for words in ("CallManager", "cup-xmpp", "Expressway-E", "multi-server"):
        assert words in shown.out
    told = cli("trust", "requirements", "--json")
    assert told.names().count("requirement") == 7
