"""`softphone trust verify`: the chain, every check, the verdict, and what would mend it."""

from __future__ import annotations

import re
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from softphone.cli.trust.options import VerifyServerOptions
from softphone.cli.trust.verify import starttls_of
from tests.support.pki import DAY, NOW, Pki, Shape
from tests.support.starttls import chat_server


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


def test_the_trust_lists_of_a_store_are_believed(cli, lab, place, tmp_path):
    folder, store = lab["alice"].parent, tmp_path / "phone"
    files = [folder / name for name in ("CTLFile.tlv", "ITLFile.tlv")]
    stored = cli("trust", "import", *files, "--store", store, "--trust-on-first-use")
    assert stored.code == 0, stored.err
    done = cli("trust", "verify", place, "--service", "sip", "--store", store, "--json")
    assert (done.code, done.summary["verdict"]) == (0, "trust-list"), done.err
    checks = {e["name"]: e for e in done.events if e["event"] == "check"}
    assert all(check["passes"] for check in checks.values())
    assert "a trust list names the certificate" in checks["path"]["detail"]
    assert "until a newer list leaves it out" in checks["revocation"]["detail"]
    # A list gives roles: who is a call server is no CAPF.
    other = cli("trust", "verify", place, "--service", "capf", "--store", store, "--json")
    assert other.code == 3


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
    for words in ("What the server shows", "verdict", "accepted, by chain"):
        assert words in shown


def test_what_would_make_it_pass_can_be_copied_from_a_narrow_terminal(cli, place, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    seen = cli("trust", "verify", place, "--service", "sip")
    assert seen.code == 3
    (line,) = [each for each in seen.out.splitlines() if "what would make path pass" in each]
    assert re.search(r"--accept-fingerprint\b.*\b[0-9a-f]{64}$", line), line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere", "--service", "sip"), "expected HOST:PORT"),
        (("a:0", "--service", "sip"), "expected HOST:PORT"),
        (("a:1", "--service", "ftp"), "expected one of sip, https, xmpp, capf"),
        (("a:1", "--service", "sip", "--tls", "starttls"), "only --service xmpp"),
        (("a:1", "--service", "xmpp", "--tls", "never"), "expected direct or starttls"),
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
    assert told.names().count("requirement") == 9


DOMAIN = "chat.example.test"
NAMES = (x509.DNSName(DOMAIN),)


def held_and_its_root(folder, names=NAMES):
    """A chat server's certificate, and the file of the authority that made it."""
    pki = Pki()
    held, ca = pki.leaf(Shape("chat", names)), folder / "root.pem"
    ca.write_bytes(pki.root.certificate.public_bytes(Encoding.PEM))
    return held, ca


def context_of(held, folder):
    """A server whose side of a handshake is done once ours is: in TLS 1.3 ours goes first."""
    context = held.context(folder)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def look(cli, server, ca, *more):
    place = f"127.0.0.1:{server.port}"
    options = ("--service", "xmpp", "--name", DOMAIN, "--ca", ca, "--json", *more)
    return cli("trust", "verify", place, *options)


def test_a_chat_server_is_asked_for_tls_and_told_nothing_after_it(cli, tmp_path):
    held, ca = held_and_its_root(tmp_path)
    with chat_server(context_of(held, tmp_path)) as server:
        done = look(cli, server, ca, "--tls", "starttls")
    assert done.code == 0, done.err
    assert done.summary["verdict"] == "chain"
    assert [told.within for told in server.said] == [b"", b"", b""]
    for told in server.said:
        assert f'to="{DOMAIN}"' in told.clear.decode()
        assert told.clear.count(b"<") == 2, "a stream header and <starttls/>, nothing else"


def test_the_gate_judges_a_chat_server_behind_starttls_too(cli, tmp_path):
    held, ca = held_and_its_root(tmp_path, (x509.DNSName("other.test"),))
    with chat_server(context_of(held, tmp_path)) as server:
        refused = look(cli, server, ca, "--tls", "starttls")
        unknown = look(cli, server, tmp_path / "none.pem", "--tls", "starttls")
    assert refused.code == 3
    checks = {e["name"]: e for e in refused.events if e["event"] == "check"}
    assert checks["path"]["passes"]
    assert not checks["name"]["passes"]
    assert unknown.code == 2
    assert {told.within for told in server.said} == {b""}


def test_revocation_that_a_setting_forbids_to_ask_for_names_its_option(cli, tmp_path):
    pki, ca = Pki(), tmp_path / "root.pem"
    ca.write_bytes(pki.root.certificate.public_bytes(Encoding.PEM))
    held = pki.leaf(Shape("chat", NAMES, crl="http://127.0.0.1:9/list.crl"))
    with chat_server(context_of(held, tmp_path)) as server:
        refused = look(cli, server, ca, "--tls", "starttls", "--revocation", "hard")
    assert refused.code == 3
    checks = {e["name"]: e for e in refused.events if e["event"] == "check"}
    assert "--allow local-revocation" in checks["revocation"]["remedy"]
    assert "--allow local-revocation" in refused.summary["reason"]


def test_an_expired_one_is_refused_without_a_verified_byte(cli, tmp_path):
    pki, ca = Pki(), tmp_path / "root.pem"
    ca.write_bytes(pki.root.certificate.public_bytes(Encoding.PEM))
    held = pki.leaf(Shape("chat", NAMES, ends=NOW - DAY / 2))
    with chat_server(context_of(held, tmp_path)) as server:
        refused = look(cli, server, ca, "--tls", "starttls")
    assert refused.code == 3
    assert "expired" in refused.summary["reason"]
    assert {told.within for told in server.said} <= {b"", None}


def test_a_chat_server_without_starttls_is_no_tls_server(cli, tmp_path):
    held, ca = held_and_its_root(tmp_path)
    with chat_server(context_of(held, tmp_path), "<stream:features/>") as server:
        failed = look(cli, server, ca, "--tls", "starttls")
    assert failed.code == 1
    assert "offers no TLS" in failed.err
    assert [told.within for told in server.said] == [None]


@pytest.mark.parametrize(
    ("place", "mode", "starttls"),
    [
        ("a.test:5222", None, True),
        ("a.test:5223", None, False),
        ("a.test:5222", "direct", False),
        ("a.test:443", "starttls", True),
    ],
)
def test_a_port_of_rfc_6120_begins_in_clear(place, mode, starttls):
    options = VerifyServerOptions(place=place, service="xmpp", tls=mode)
    assert (starttls_of(options, int(place[7:])) is not None) is starttls
