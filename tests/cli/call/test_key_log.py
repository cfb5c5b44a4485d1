"""`--tls-key-log` of `call`, `answer` and `register`: keys, a warning, a summary that says so."""

from __future__ import annotations

import stat

import pytest

from softphone.trust import key_log

LABEL = "CLIENT_TRAFFIC_SECRET_0 "


def test_a_registration_logs_the_keys_of_its_session_and_says_so(cli, lab, tmp_path):
    path = tmp_path / "keys.log"
    ended = cli(*("register", "--account", lab["alice"], "--once", "--json", "--tls-key-log", path))
    assert ended.code == 0
    assert LABEL in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert ended.summary["tls_key_log"] == str(path)
    said = " ".join(ended.err.split())
    assert f"warning: TLS keys are logged to {path}: whoever has it can read this traffic" in said


def test_a_call_logs_its_keys_and_its_summary_says_so_however_it_ends(cli, lab, tmp_path):
    path = tmp_path / "keys.log"
    words = ("--account", lab["alice"], "--json", "--tls-key-log", path)
    ended = cli("call", "600", "--duration", "0.5", *words)
    assert (ended.code, ended.summary["tls_key_log"]) == (0, str(path))
    first = path.read_text()
    assert LABEL in first
    ended = cli("call", "nobody", *words)
    assert (ended.code, ended.summary["tls_key_log"]) == (1, str(path))
    assert path.read_text().startswith(first)
    assert path.read_text().count(LABEL) > first.count(LABEL)


def test_without_the_option_nothing_is_logged_whatever_the_environment_says(
    cli, lab, tmp_path, monkeypatch
):
    path = tmp_path / "keys.log"
    monkeypatch.setenv("SSLKEYLOGFILE", str(path))
    ended = cli("register", "--account", lab["alice"], "--once", "--json")
    assert (ended.code, ended.summary["tls_key_log"]) == (0, None)
    assert not path.exists()


@pytest.mark.parametrize("command", [("call", "600"), ("answer",), ("register",)])
def test_a_file_of_others_is_refused_before_anything_is_sent(cli, lab, tmp_path, command):
    path = tmp_path / "keys.log"
    path.touch()
    path.chmod(0o644)
    ended = cli(*command, "--account", lab["alice"], "--tls-key-log", path)
    assert ended.code == 2
    assert "others could read the TLS keys: chmod 600" in " ".join(ended.err.split())
    assert path.read_bytes() == b""


def test_an_account_without_tls_is_refused(cli, lab, tmp_path):
    path = tmp_path / "keys.log"
    ended = cli("register", "--account", lab["carol"], "--once", "--tls-key-log", path)
    assert ended.code == 2
    assert "--tls-key-log: the account has no TLS, and no keys to log" in ended.err
    assert not path.exists()


def test_in_fips_mode_it_is_refused_on_security_grounds(cli, lab, tmp_path, monkeypatch):
    monkeypatch.setattr(key_log, "fips_in_force", lambda: True)
    path = tmp_path / "keys.log"
    ended = cli("register", "--account", lab["alice"], "--once", "--tls-key-log", path)
    assert ended.code == 3
    assert "TLS keys cannot be logged in FIPS mode" in ended.err
    assert not path.exists()
