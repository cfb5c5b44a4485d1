"""`softphone discover` against the lab, and against a forged record."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from softphone.cli.console.output import CommandOutput
from softphone.cli.discovery.discover import _sentence
from softphone.cli.discovery.discovery_config import _password, make_confirmation
from softphone.cli.discovery.options import DiscoverOptions
from softphone.config import load_account
from softphone.discovery import (
    CachedDiscovery,
    ConfirmationQuestion,
    DiscoveryCache,
    DiscoveryResult,
    ServicePath,
    ServiceTarget,
)
from softphone.discovery.jabber_config import ConfigSetting
from tests.support.certificates import authority
from tests.support.discovery import PASSWORD, UDS, running_site, self_serving
from tests.support.forked_command import command_line
from tests.support.terminal import Terminal
from tests.support.waiting import until

QUESTION = ConfirmationQuestion(
    ServiceTarget("login.other.test", 8443), ("example.test",), ("dns:login.other.test",), "ab" * 32
)


@pytest.fixture
def options(lab, tmp_path):
    """The options with which the lab's DNS and authority are believed."""
    folder = lab["carol"].parent
    ready = json.loads((folder / "lab.json").read_text())
    return (
        *("--nameserver", ready["dns"], "--ca", folder / "ca.crt"),
        *("--cache", tmp_path / "found", "--store", tmp_path / "store"),
    )


@pytest.fixture
def outside(lab, options):
    """The options with which the user's DNS names the lab's edge only."""
    ready = json.loads((lab["carol"].parent / "lab.json").read_text())
    return ("--nameserver", ready["dns_outside"], *options[2:])


def secret(lab, name="carol"):
    return "--password-file", lab["carol"].parent / f"{name}.secret"


def test_a_user_of_the_lab_is_found_step_by_step(cli, lab, options):
    ended = cli("discover", "carol@example.test", *options, *secret(lab), "--json")
    assert ended.code == 0, ended.err
    steps = [event for event in ended.events if event["event"] == "step"]
    assert [each["name"] for each in steps if each["outcome"] == "nothing"] == [
        "_cuplogin._tcp.example.test",
        "_collab-edge._tls.example.test",
    ]
    assert [each for each in steps if not each["why"]] == []
    settings = {e["key"]: e["applies"] for e in ended.events if e["event"] == "setting"}
    assert settings == {
        "Disable_IM_History": True,
        "file_transfer_enabled": False,
        "VoicemailPrimaryServer": False,
    }
    found = [event for event in ended.events if event["event"] == "service"]
    assert [each["service"] for each in found] == ["Voicemail", "IMPresence"]
    assert {each["address"] for each in found} == {"cucm.example.test"}
    assert ended.summary["devices"] == ["CSFCAROL"]
    assert ended.summary["reason"] == "inside"


def test_a_person_sees_tables(cli, lab, options, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    ended = cli("discover", "carol@example.test", *options, *secret(lab))
    assert ended.code == 0, ended.err
    for words in ("_cisco-uds._tcp.example.test", "CSFCAROL", "Settings of security", "inside: "):
        assert words in ended.out
    assert ended.err == ""


def test_settings_that_the_site_trusts_relax_ours(cli, lab, options):
    ended = cli(
        *("discover", "carol@example.test", *options, *secret(lab), "--json"),
        "--trust-remote-config",
    )
    assert all(event["applies"] for event in ended.events if event["event"] == "setting")


def test_without_a_password_the_home_cluster_is_found(cli, options):
    ended = cli("discover", "carol@example.test", *options, "--json")
    assert ended.code == 0, ended.err
    assert ended.summary["home"].startswith("cucm.example.test:")
    assert (ended.summary["user"], ended.summary["devices"]) == (None, [])


def test_a_wrong_password_fails_and_is_shown_nowhere(cli, lab, options, tmp_path):
    path = tmp_path / "wrong.secret"
    path.write_text("guessed-password\n")
    path.chmod(0o600)
    ended = cli("discover", "carol@example.test", *options, "--password-file", path)
    assert ended.code == 1
    assert "401" in ended.err
    assert "guessed-password" not in ended.out + ended.err


def test_a_user_outside_is_found_through_the_edge(cli, lab, outside, tmp_path):
    path = tmp_path / "outside.toml"
    asked = ("discover", "carol@example.test", *outside)
    ended = cli(*asked, *secret(lab), "--account-file", path, "--ask-edge-sso", "--json")
    assert ended.code == 0, ended.err
    assert ended.summary["reason"] == "outside"
    steps = [event for event in ended.events if event["event"] == "step"]
    assert [each for each in steps if not each["why"]] == []
    (sso,) = (each for each in steps if each["name"] == "single sign-on")
    assert sso["outcome"] == "found"
    assert "answered 200" in sso["detail"]
    assert "was not seen" in sso["why"]
    assert ended.summary["home"].startswith("cucm.example.test:")
    assert ended.summary["devices"] == ["CSFCAROL"]
    account = load_account(path)
    assert (path.stat().st_mode & 0o777, account.warnings) == (0o600, ())
    assert account.config.edge.domain == "example.test"
    assert account.config.edge.servers[0].startswith("edge.example.test:")
    assert (account.config.persona, account.config.device.name) == ("cisco_phone", "CSFCAROL")
    assert len(account.config.device.mac) == 12
    again = cli(*asked, *secret(lab), "--account-file", path)
    assert again.code == 2
    assert "there already" in again.err


def test_without_a_password_an_edge_is_sent_nothing(cli, lab, outside):
    ended = cli("discover", "carol@example.test", *outside, "--no-prompt")
    assert ended.code == 0, ended.err
    assert "without a password nothing was sent" in ended.out


def test_an_account_file_is_written_outside_only(cli, lab, options, tmp_path):
    path = tmp_path / "inside.toml"
    ended = cli("discover", "carol@example.test", *options, *secret(lab), "--account-file", path)
    assert ended.code == 2
    assert "softphone boot" in ended.err
    assert not path.exists()


def test_an_authority_that_is_not_believed_is_refused(cli, lab, options):
    without = [each for each in options if each not in options[2:4]]
    ended = cli("discover", "carol@example.test", *without, *secret(lab), "--no-prompt")
    assert ended.code == 3
    assert "--accept-fingerprint" in ended.err


def test_a_kept_setting_forbids_the_question_about_a_certificate(cli, lab, options, tmp_path):
    kept = CachedDiscovery(
        settings=(ConfigSetting("Policies", "InvalidCertificateBehavior", "RejectAndNotify"),),
        config_taken=time.time(),
    )
    DiscoveryCache(tmp_path / "found").store("carol@example.test", kept)
    without = [each for each in options if each not in options[2:4]]
    ended = cli("discover", "carol@example.test", *without, *secret(lab))
    assert ended.code == 3
    assert "InvalidCertificateBehavior" in ended.err
    assert "if you know that it is the right one" not in ended.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("carol",),
        ("carol@test",),
        ("carol@example.test", "--exclude", "MAIL"),
        ("carol@example.test", "--nameserver", "dns.test"),
        ("carol@example.test", "--nameserver", "127.0.0.1:x"),
        ("carol@example.test", "--timeout", "0"),
        ("carol@example.test", "--password-file", "/nonexistent"),
        ("carol@example.test", "--password-file", "/dev/null"),
        ("carol@example.test", "--ca", "/nonexistent"),
    ],
)
def test_what_cannot_be_meant_is_exit_code_2(cli, tmp_path, arguments):
    ended = cli("discover", *arguments, "--cache", tmp_path, "--store", tmp_path / "store")
    assert ended.code == 2, ended.err


async def test_a_forged_record_is_exit_code_3_without_a_terminal(tmp_path):
    ca = authority().write(tmp_path, "believed")
    password = tmp_path / "alice.secret"
    password.write_bytes(PASSWORD.reveal())
    password.chmod(0o600)
    async with running_site(tmp_path) as site:
        web = await site.web("login.evil.test")
        web.answers = self_serving("login.evil.test", web.port)
        site.name(UDS, ("login.evil.test", web.port))
        command = await asyncio.create_subprocess_exec(
            *(*command_line(), "discover", "alice@example.test"),
            *("--nameserver", f"127.0.0.1:{site.dns.address[1]}", "--ca", str(ca)),
            *("--password-file", str(password), "--cache", str(tmp_path / "found")),
            *("--store", str(tmp_path / "store")),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        shown, errors = await command.communicate()
    assert command.returncode == 3, errors
    assert b"no credentials were sent" in errors
    assert PASSWORD.reveal() not in shown + errors
    assert web.requests
    assert b"Authorization" not in b"".join(web.requests)


@pytest.mark.parametrize(("typed", "said"), [("y\n", True), ("no\n", False), ("\n", False)])
async def test_a_person_is_asked_about_a_server_outside_of_the_domain(typed, said):
    with Terminal() as terminal, terminal.attended():
        ask = make_confirmation(
            CommandOutput(json=False), DiscoverOptions(account="a@example.test")
        )
        assert ask is not None
        asked = asyncio.ensure_future(ask(QUESTION))
        await until(lambda: "y/N" in terminal.look())
        terminal.type(typed)
        assert await asked is said
        shown = terminal.look()
    for words in ("login.other.test:8443", "dns:login.other.test", "example.test", "ab" * 32):
        assert words in shown


@pytest.mark.parametrize(("typed", "given"), [("open sesame\n", b"open sesame"), ("\n", None)])
async def test_a_person_is_asked_for_the_password_and_may_give_none(typed, given):
    options = DiscoverOptions(account="a@example.test")
    with Terminal() as terminal, terminal.attended():
        asked = asyncio.ensure_future(_password(CommandOutput(json=False), options, "a@x.test"))
        await until(lambda: "Password of a@x.test" in terminal.look())
        terminal.type(typed)
        password = await asked
        assert "sesame" not in terminal.look()
    assert (None if password is None else password.reveal()) == given


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (ServicePath.EDGE, "outside: the edge is edge.test:8443"),
        (ServicePath.IM_AND_PRESENCE, "IM and Presence only"),
        (ServicePath.UDS, "devices: none known"),
    ],
)
def test_the_last_sentence_says_where_the_user_is(path, words):
    found = DiscoveryResult("a@example.test", path, edge=ServiceTarget("edge.test", 8443))
    assert words in _sentence(found)


def test_nobody_is_asked_for_a_script():
    with Terminal() as terminal, terminal.attended():
        plain = DiscoverOptions(account="a@example.test")
        plain.trust.no_prompt = True
        assert make_confirmation(CommandOutput(json=False), plain) is None
        output = CommandOutput(json=True)
        assert make_confirmation(output, DiscoverOptions(account="a@example.test")) is None


def test_help_names_every_domain_whose_servers_get_the_password():
    said = " ".join((DiscoverOptions.__doc__ or "").split())
    for words in ("the user's domain", "--services-domain", "--voice-domain", "certificate names"):
        assert words in said
