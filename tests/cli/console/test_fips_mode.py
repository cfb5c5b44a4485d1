"""A command starts itself anew in the mode that was decided on, or goes on; never in another."""

from __future__ import annotations

import json
import os
import shutil
import sys

import pytest

from softphone.cli.console import fips_mode
from softphone.errors import FipsUnavailable
from softphone.trust.fips import FipsMode, FipsModeOrigin
from tests.support import fips


@pytest.fixture(autouse=True)
def _unset(monkeypatch, tmp_path):
    for name in list(os.environ):
        if name.startswith(fips.OURS):
            monkeypatch.delenv(name)
    monkeypatch.setenv("SOFTPHONE_FIPS_DIR", str(tmp_path / "none"))


def objects(ended):
    return [json.loads(line) for line in ended.stdout.splitlines()]


def account(tmp_path, fips_key):
    path = tmp_path / "alice.toml"
    path.write_text(
        f'aor = "sip:a@127.0.0.1"\nregistrar = "sip:127.0.0.1:9;transport=tcp"\n{fips_key}\n'
    )
    path.chmod(0o600)
    return path


def test_without_any_setting_a_command_goes_on(monkeypatch):
    monkeypatch.setattr(os, "execve", lambda *_: pytest.fail("started anew"))
    assert fips_mode.enter_mode() == FipsMode(False, FipsModeOrigin.PLATFORM)


def test_a_command_starts_anew_with_what_it_was_given(monkeypatch):
    started = []

    def become(*arguments):
        started.append(arguments)
        raise SystemExit

    setup = fips.setup()
    monkeypatch.setenv("SOFTPHONE_FIPS_DIR", str(setup.folder.parent))
    monkeypatch.setattr(os, "execve", become)
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "softphone", "demo"])
    with pytest.raises(SystemExit):
        fips_mode.enter_mode(True, "alice.toml")
    ((program, arguments, surrounding),) = started
    assert program == sys.executable
    assert arguments == [sys.executable, "-m", "softphone", "demo"]
    assert surrounding["SOFTPHONE_FIPS_FOLDER"] == str(setup.folder)
    # Or the new process would decide otherwise, before it has read the account.
    assert surrounding["SOFTPHONE_FIPS"] == "true"
    assert surrounding["SOFTPHONE_FIPS_SOURCE"] == "alice.toml"


def test_fips_mode_without_a_set_up_starts_nothing(monkeypatch):
    monkeypatch.setattr(os, "execve", lambda *_: pytest.fail("started anew"))
    monkeypatch.setenv("SOFTPHONE_FIPS", "true")
    with pytest.raises(FipsUnavailable, match="run `softphone fips setup` first"):
        fips_mode.enter_mode()


def test_the_first_line_tells_mode_decider_and_provider():
    ended = fips.softphone("--fips", "demo")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith(
        "FIPS, by the bootstrap setting (--fips): OpenSSL FIPS Provider "
    )
    assert ended.stdout.splitlines()[0].endswith(", self-check passed")
    assert "All of it held" in ended.stdout.splitlines()[-1]


def test_the_account_s_setting_counts_and_a_nearer_one_more(tmp_path):
    path = account(tmp_path, "fips = true")
    inside = fips.softphone("doctor", "--account", path, "--json")
    assert objects(inside)[0]["event"] == "fips"
    assert objects(inside)[0]["source"] == str(path)
    outside = fips.softphone("--no-fips", "doctor", "--account", path, "--json")
    assert objects(outside)[0]["event"] != "fips"


def test_a_platform_in_fips_mode_is_left_by_the_account_s_setting(tmp_path):
    setup = fips.setup()
    platform = {
        "OPENSSL_CONF": str(setup.folder / "openssl-fips.cnf"),
        "OPENSSL_MODULES": str(setup.folder / "first"),
    }
    kept = fips.softphone("doctor", "--account", account(tmp_path, ""), "--json", **platform)
    assert objects(kept)[0]["decided_by"] == "platform"
    path = account(tmp_path, "fips = false")
    left = fips.softphone("register", "--once", "--account", path, "--json", **platform)
    # Into it by the platform, out of it by the account; it fails only at the missing server.
    assert [each["event"] for each in objects(left)] == ["fips", "error", "summary"]
    assert left.returncode == 1, left.stderr


@pytest.mark.parametrize("command", [("demo",), ("fips", "status")])
def test_a_provider_that_was_changed_stops_the_command_with_the_reason(tmp_path, command):
    shutil.copytree(fips.setup().folder.parent, tmp_path / "base", symlinks=True)
    file = tmp_path / "base" / "current" / "second" / "fips.so"
    with file.open("r+b") as opened:
        opened.seek(1_000_000)
        opened.write(b"\0\0\0\0")
    conf = (tmp_path / "base" / "current" / "openssl-fips.cnf").resolve()
    conf.write_text(conf.read_text().replace(str(fips.setup().folder), str(conf.parent)))
    ended = fips.softphone("--fips", *command, SOFTPHONE_FIPS_DIR=str(tmp_path / "base"))
    assert ended.returncode == 3
    assert "FIPS mode is on and the self-check failed; nothing was started" in ended.stderr
    assert "cryptography: SHA-256 is wrong or missing" in ended.stderr
    assert "Traceback" not in ended.stderr
