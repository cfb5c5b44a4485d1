"""What commands do about unknown certificates: ask at a terminal, or go by a fingerprint."""

from __future__ import annotations

import json
import re
import time

import pytest

from softphone.cli.console.certificate_prompt import (
    accepted_fingerprint,
    certificate_prompt,
    default_store,
    open_trust_store,
    question_rows,
)
from softphone.cli.console.options import TrustOptions
from softphone.cli.console.output import CommandOutput
from softphone.errors import CertificateUnknown, ConfigurationError
from softphone.trust import load_certificate_file
from tests.net.stream.test_certificate_prompts import about
from tests.support.terminal import Terminal
from tests.support.waiting import PATIENCE

QUESTION = about()


@pytest.fixture
def stranger(lab, tmp_path, monkeypatch):
    """An account of the lab that does not know the lab's authority, and a store of its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "72")
    folder = lab["alice"].parent
    lines = lab["alice"].read_text().splitlines()
    kept = [
        line.replace('"alice', f'"{folder}/alice') for line in lines if not line.startswith("ca ")
    ]
    path = tmp_path / "alice.toml"
    path.write_text("\n".join(kept) + "\n")
    path.chmod(0o600)
    return path


def seen(terminal, word, process, within=PATIENCE):
    """Wait until the terminal has shown a word."""
    until = time.monotonic() + within
    while word not in terminal.look():
        assert time.monotonic() < until, terminal.look()
        if process.poll() is not None:
            assert word in terminal.look(), terminal.look()
        time.sleep(0.02)
    return terminal.look()


def test_a_person_is_shown_the_certificate_and_may_accept_it(stranger, lab, tmp_path):
    with Terminal() as terminal:
        process = terminal.run("register", "--account", stranger, "--once")
        shown = seen(terminal, "[y/N]", process)
        for word in ("ip:127.0.0.1", "SHA-256", "softphone lab", "why", "not accepted"):
            assert word in shown
        terminal.type("y\n")
        shown = seen(terminal, "done", process)
        assert process.wait(timeout=90) == 0, shown
        assert "accepted the certificate" in shown
    (pins,) = (tmp_path / "state").rglob("pins.json")
    assert len(json.loads(pins.read_text())) == 1
    with Terminal() as terminal:
        again = terminal.run("register", "--account", stranger, "--once")
        shown = seen(terminal, "done", again)
        assert again.wait(timeout=90) == 0
        assert "[y/N]" not in shown, "known is trusted without asking"


@pytest.mark.parametrize("answer", ["n", "", "maybe"])
def test_anything_but_yes_refuses_and_keeps_nothing(stranger, tmp_path, answer):
    with Terminal() as terminal:
        process = terminal.run("register", "--account", stranger, "--once")
        seen(terminal, "[y/N]", process)
        terminal.type(f"{answer}\n")
        shown = seen(terminal, "was not accepted", process)
        assert process.wait(timeout=90) == 3, shown
    assert not (tmp_path / "state").exists()


def test_ctrl_c_is_heard_while_somebody_is_asked(stranger, tmp_path):
    with Terminal() as terminal:
        process = terminal.run("register", "--account", stranger, "--once")
        seen(terminal, "[y/N]", process)
        process.send_signal(2)
        assert process.wait(timeout=90) == 130
    assert not (tmp_path / "state").exists()


def test_a_script_accepts_by_the_fingerprint_that_it_was_told(cli, stranger, lab, tmp_path):
    asked = cli("register", "--account", stranger, "--once", "--json")
    assert asked.code == 3
    assert "; its SHA-256 is " in asked.summary["reason"]
    told = cli("register", "--account", stranger, "--once").err
    assert re.search(r"hint: put .* into tls.ca, or accept .* with --accept-fingerprint\n$", told)
    assert told.count("--accept-fingerprint") == 1
    digest = asked.summary["reason"].split()[-1]
    wrong = cli("register", "--account", stranger, "--once", "--accept-fingerprint", "00" * 32)
    assert wrong.code == 3
    assert digest in wrong.err
    assert not (tmp_path / "state").exists()
    done = cli(
        *("register", "--account", stranger, "--once", "--json"),
        *("--accept-fingerprint", f"SHA256:{digest.upper()}", "--store", tmp_path / "kept"),
    )
    assert done.code == 0
    assert "certificate_accepted" in done.names()
    again = cli(
        *("doctor", "--account", stranger, "--json", "--store", tmp_path / "kept"),
    )
    assert again.code == 0
    tls = next(e for e in again.events if e.get("step") == "TLS and certificate")
    assert "verified by pin" in tls["detail"]


def test_doctor_says_how_an_unknown_certificate_is_accepted(cli, stranger):
    examined = cli("doctor", "--account", stranger, "--json")
    assert examined.code == 3
    finding = next(e for e in examined.events if e.get("step") == "TLS and certificate")
    assert not finding["good"]
    assert re.search(
        "into tls.ca .*; or, .*: --accept-fingerprint [0-9a-f]{64}$", finding["advice"]
    )


def test_without_a_prompt_nobody_is_asked(stranger, tmp_path):
    with Terminal() as terminal:
        process = terminal.run("register", "--account", stranger, "--once", "--no-prompt")
        shown = seen(terminal, "error", process)
        assert process.wait(timeout=90) == 3
        assert "[y/N]" not in shown + terminal.look()


async def test_the_question_names_a_mismatch():
    rows = dict(question_rows(QUESTION))
    assert rows["server"] == "pbx.test port 5061 (sip)"
    assert "and" not in rows
    assert accepted_fingerprint(TrustOptions(accept=QUESTION.fingerprint)) == QUESTION.fingerprint


@pytest.mark.parametrize("text", ["", "sha256:xyz", "00" * 31])
def test_a_fingerprint_that_is_none_is_an_error(text):
    with pytest.raises(ConfigurationError, match="expected a SHA-256"):
        certificate_prompt(CommandOutput(json=True), TrustOptions(accept=text))


async def test_a_script_is_never_asked():
    with pytest.raises(CertificateUnknown, match=QUESTION.fingerprint):
        await certificate_prompt(CommandOutput(json=True), TrustOptions())(QUESTION)


def test_the_store_is_the_user_s_unless_it_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_store() == tmp_path / "softphone" / "trust"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_store() == tmp_path / ".local/state/softphone/trust"
    assert open_trust_store(tmp_path / "mine").all_pins == ()
    assert not (tmp_path / "mine").exists()


def test_a_key_that_is_locked_is_asked_for_at_the_terminal(cli, lab, tmp_path, monkeypatch):
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
        load_pem_private_key,
    )

    folder = lab["alice"].parent
    key = load_pem_private_key((folder / "alice.key").read_bytes(), None)
    locked = BestAvailableEncryption(b"open sesame")
    path = tmp_path / "locked.key"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked))
    path.chmod(0o600)
    text = lab["alice"].read_text().replace('"alice.key"', f'"{path}"')
    account = folder / "locked.toml"
    account.write_text(text)
    account.chmod(0o600)
    refused = cli("register", "--account", account, "--once")
    assert refused.code == 2
    assert "nobody to ask: Passphrase of" in refused.err
    assert "--passphrase-fd" in refused.err
    with Terminal() as terminal:
        process = terminal.run("register", "--account", account, "--once")
        seen(terminal, "Passphrase of", process)
        terminal.type("open sesame\n")
        shown = seen(terminal, "done", process)
        assert process.wait(timeout=90) == 0
        assert "sesame" not in shown
    assert load_certificate_file(folder / "alice.crt")
