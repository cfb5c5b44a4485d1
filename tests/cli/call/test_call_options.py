"""Wrong input is one sentence and exit 2, and not a byte is sent."""

from __future__ import annotations

import wave

import pytest

from softphone.lab import Validity

USAGE = 2


def refused(outcome, silent, *words):
    assert outcome.code == USAGE
    assert silent.saw_nothing()
    assert outcome.out == ""
    lines = outcome.err.splitlines()
    assert len(lines) == 1, outcome.err
    assert lines[0].startswith("error: ")
    for word in words:
        assert word in lines[0]
    return True


def refused_by(command, outcome, silent, *words):
    """As `refused`; the doctor tells it as the first of its steps."""
    if command != ("doctor",):
        return refused(outcome, silent, *words)
    assert outcome.code == USAGE
    assert silent.saw_nothing()
    for word in words:
        assert word in outcome.err + outcome.out
    return True


@pytest.mark.parametrize("command", [("call", "bob"), ("answer",)])
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--play", "{0}/none.wav"), ("none.wav",)),
        (("--play", "{0}/empty.wav"), ("empty.wav", "empty")),
        (("--play", "{0}/text.wav"), ("text.wav", "not a WAV file")),
        (("--play", "{0}/mute.wav"), ("mute.wav", "without a single sample")),
        (("--play", "{0}"), ("cannot be read",)),
        (("--record", "{0}/text.wav"), ("exists",)),
        (("--record", "{0}/none/x.wav"), ("cannot be written",)),
        (("--digits", "12x"), ("--digits", "'X'")),
        (("--digits", "1" * 300), ("300",)),
        (("--srtp", "maybe"), ("--srtp maybe",)),
        (("--duration", "-1"), ("--duration -1",)),
        (("--duration", "nan"), ("--duration nan",)),
        (("--duration", "inf"), ("--duration inf",)),
        (("--timeout", "-1"), ("--timeout -1",)),
        (("--timeout", "0"), ("--timeout 0",)),
        (("--timeout", "nan"), ("--timeout nan",)),
    ],
    ids=str,
)
def test_a_wrong_option(cli, silent, tmp_path, command, options, words):
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("this is no sound at all, only text")
    with wave.open(str(tmp_path / "mute.wav"), "wb") as mute:
        mute.setparams((1, 2, 8000, 0, "NONE", ""))
    account = silent.account()
    given = [option.format(tmp_path) for option in options]
    assert refused(cli(*command, "--account", account, *given), silent, *words)


@pytest.mark.parametrize(
    "target", ["", "a b", "sip:", "sip:bob@", "http://x", "tel:+4930", "@host", "sip:b@h:99999"]
)
def test_a_target_that_is_no_uri(cli, silent, tmp_path, target):
    sink = tmp_path / "heard.wav"
    outcome = cli("call", target, "--account", silent.account(), "--record", sink)
    assert refused(outcome, silent, "target")
    assert not list(tmp_path.glob("heard.wav*"))


@pytest.mark.parametrize(
    ("tables", "top", "words"),
    [
        (("[media]", 'suites = ["ROT13"]'), (), ("alice.toml:8", "media.suites", "ROT13")),
        (("[media]", 'codecs = ["MP3"]'), (), ("alice.toml:8", "media.codecs", "MP3")),
        (("[media]", 'ports = "40000-40001"'), (), ("alice.toml:8", "media.ports", "too few")),
        (("[media]", 'colour = "red"'), (), ("alice.toml:8", "media.colour")),
        ((), ('registar = "x"',), ("alice.toml:3", "registar", "registrar")),
        ((), ('persona = "pirate"',), ("pirate",)),
        ((), ('aor = "sip:x@y"',), ("alice.toml", "line 3")),
    ],
    ids=str,
)
@pytest.mark.parametrize("command", [("call", "bob"), ("answer",), ("register",), ("doctor",)])
def test_a_wrong_account_file(cli, silent, command, tables, top, words):
    outcome = cli(*command, "--account", silent.account(*tables, top=top))
    assert refused_by(command, outcome, silent, *words)


@pytest.mark.parametrize("command", [("call", "bob"), ("answer",), ("register",)])
def test_an_account_file_that_is_missing(cli, silent, tmp_path, command):
    assert refused(cli(*command, "--account", tmp_path / "none.toml"), silent, "none.toml")


@pytest.mark.parametrize("command", [("call", "bob"), ("answer",), ("register",), ("doctor",)])
def test_a_key_that_does_not_match_its_certificate(cli, silent, tmp_path, command):
    account = silent.account()
    silent.authority.client("sip:bob@127.0.0.1").write(tmp_path, "bob")
    (tmp_path / "bob.key").replace(tmp_path / "alice.key")
    outcome = cli(*command, "--account", account)
    assert refused_by(command, outcome, silent, "does not match")


@pytest.mark.parametrize("command", [("call", "bob"), ("answer",), ("register",), ("doctor",)])
def test_an_expired_certificate_of_our_own(cli, silent, tmp_path, command):
    account = silent.account()
    validity = Validity.expired()
    silent.authority.client("sip:alice@127.0.0.1", validity=validity).write(tmp_path, "alice")
    outcome = cli(*command, "--account", account)
    assert refused_by(command, outcome, silent, "expired")


def test_with_json_usage_errors_are_an_object_and_a_whole_summary(cli, silent):
    outcome = cli("call", "bob", "--account", silent.account(), "--digits", "x", "--json")
    assert outcome.code == USAGE
    assert outcome.names() == ["error", "summary"]
    assert outcome.events[0]["exit_code"] == USAGE
    assert outcome.summary["result"] == "failed"
    assert outcome.summary["audio"]["codec"] is None
    assert outcome.summary["video"] is None


def test_a_secret_that_others_can_read_is_a_warning(cli, silent, tmp_path):
    secret = tmp_path / "alice.secret"
    secret.write_text("hunter2")
    secret.chmod(0o644)
    tables = ("[credentials]", 'username = "alice"', f'password_file = "{secret}"')
    account = silent.account(*tables, tls=False)
    outcome = cli("call", "", "--account", account)
    assert "warning: " in outcome.err
    assert "chmod 600" in outcome.err
    assert "hunter2" not in outcome.err


def test_a_key_that_others_can_read_is_one_warning_and_no_more(cli, lab, tmp_path):
    key = tmp_path / "alice.key"
    key.write_bytes((lab["alice"].parent / "alice.key").read_bytes())
    key.chmod(0o644)
    text = lab["alice"].read_text().replace('"alice.key"', f'"{key}"')
    account = lab["alice"].parent / "readable.toml"
    account.write_text(text)
    outcome = cli("register", "--account", account, "--once")
    assert outcome.code == 0
    assert outcome.err.count("chmod 600") == 1, outcome.err
