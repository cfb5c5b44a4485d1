"""`softphone doctor` where the server's certificate or `[tls]` does not fit: what it says to do."""

from __future__ import annotations

import re

import pytest

from softphone.cli.diagnose import doctor
from softphone.lab import Authority
from tests.cli.diagnose.test_doctor import elsewhere, row

TLS = "TLS and certificate"


def with_authority(lab, folder, *names):
    """The account of alice, who believes only `names`, which are files."""
    text, path = elsewhere(lab, "alice", folder)
    ca = "" if not names else f"ca = [{', '.join(map(repr, map(str, names)))}]"
    path.write_text(re.sub(r"(?m)^ca = .*$", ca, text, count=1))
    return path


def foreign(folder, name="foreign CA", file="foreign"):
    return Authority(name).write(folder, file)


def doctored(cli, path, *options):
    """What was found at the handshake, and all that people read."""
    found = row(cli("doctor", "--account", path, "--json", *options), TLS)
    shown = cli("doctor", "--account", path, *options)
    return found, shown.out + shown.err


@pytest.fixture(autouse=True)
def nothing_accepted(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def test_who_issued_the_certificate_and_who_did_not_is_said(cli, lab, tmp_path):
    path = with_authority(lab, tmp_path, foreign(tmp_path))
    found, shown = doctored(cli, path)
    assert "; foreign.crt (CN=foreign CA" in found["detail"]
    assert ") did not issue it; the issuer is CN=softphone lab CA" in found["detail"]
    line = [each[:2] for each in path.read_text().splitlines()].index("ca") + 1
    assert "put the certificate of CN=softphone lab CA" in found["advice"]
    assert f"into tls.ca ({path}:{line});" in found["advice"]
    assert shown.count("--accept-fingerprint") == 1
    assert re.search(r"accept it: --accept-fingerprint [0-9a-f]{64}\n$", shown)


def test_the_command_that_is_named_shows_the_same_chain_and_the_repair_works(cli, lab, tmp_path):
    found, _ = doctored(cli, with_authority(lab, tmp_path, foreign(tmp_path)))
    (command,) = re.findall(r"`softphone (trust verify .* --ca) FILE`", found["advice"])
    authority = lab["alice"].parent / "ca.crt"
    assert cli(*command.split(), foreign(tmp_path, file="again"), "--json").code == 3
    assert cli(*command.split(), authority, "--json").code == 0
    assert cli("doctor", "--account", with_authority(lab, tmp_path, authority)).code == 0


def test_without_an_authority_the_line_to_write_is_named(cli, lab, tmp_path):
    path = with_authority(lab, tmp_path)
    found, _ = doctored(cli, path)
    assert "; tls.ca names nobody; the issuer is CN=softphone lab CA" in found["detail"]
    assert f'into tls.ca (ca = "FILE" below [tls] in {path});' in found["advice"]


def test_another_authority_of_the_same_name_is_told_from_it(cli, lab, tmp_path):
    found, _ = doctored(cli, with_authority(lab, tmp_path, foreign(tmp_path, "softphone lab CA")))
    assert found["detail"].endswith(", of the same name and with another key")


def test_after_a_wrong_fingerprint_none_is_offered(cli, lab, tmp_path):
    path = with_authority(lab, tmp_path, foreign(tmp_path))
    found, _ = doctored(cli, path, "--accept-fingerprint", "00" * 32)
    assert "--accept-fingerprint names another one than its SHA-256" in found["detail"]
    assert not re.search("--accept-fingerprint [0-9a-f]", found["advice"])


def test_a_wrong_server_name_is_told_with_its_line(cli, lab, tmp_path):
    text, path = elsewhere(lab, "alice", tmp_path)
    path.write_text(text.replace("[tls]\n", '[tls]\nserver_name = "pbx.example.com"\n', 1))
    line = path.read_text().splitlines().index('server_name = "pbx.example.com"') + 1
    found, shown = doctored(cli, path)
    assert "it names dns:localhost" in found["detail"]
    assert found["advice"] == (
        'tls.server_name says "pbx.example.com", which the certificate does not: remove or'
        f" correct it in {path}:{line}"
    )
    assert f"What to do: {found['advice']}" in shown


@pytest.mark.parametrize(("filled", "noted"), [("", False), ('[tls]\nca = "system"\n', True)])
def test_tls_settings_that_udp_does_not_use_are_noted_before_it_waits(
    cli, silent, monkeypatch, filled, noted
):
    monkeypatch.setattr(doctor, "STEP_PATIENCE", 0.2)
    path = silent.account(tls=False)
    path.write_text(f"{path.read_text()}{filled}")
    outcome = cli("doctor", "--account", path, "--json")
    sentence = f"[tls] in {path} is not used over UDP: sips: in place of sip:, or ;transport=tls"
    assert (sentence in row(outcome, "trusted CAs")["advice"]) == noted
    assert row(outcome, "registration")["advice"].startswith(sentence) == noted
