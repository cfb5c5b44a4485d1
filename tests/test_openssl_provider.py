"""The provider that a process runs with: entered first, or not at all."""

from __future__ import annotations

import hashlib
import sys

from softphone import openssl_provider
from tests.support import fips


def test_outside_fips_mode_nothing_is_touched(monkeypatch):
    monkeypatch.setattr(openssl_provider, "_started_with", "")
    before = hashlib.md5
    openssl_provider.load_fips_provider()
    assert (openssl_provider.fips_in_force(), openssl_provider.fips_folder()) == (False, None)
    assert hashlib.md5 is before


def test_the_folder_is_what_the_process_was_started_with(monkeypatch, tmp_path):
    monkeypatch.setattr(openssl_provider, "_started_with", str(tmp_path))
    assert openssl_provider.fips_folder() == tmp_path
    assert openssl_provider.fips_in_force()


def test_what_is_written_to_the_environment_later_changes_nothing(monkeypatch, tmp_path):
    before = openssl_provider.fips_in_force(), openssl_provider.fips_folder()
    monkeypatch.setenv(openssl_provider.FIPS_FOLDER_VARIABLE, str(tmp_path / "later"))
    assert (openssl_provider.fips_in_force(), openssl_provider.fips_folder()) == before
    monkeypatch.delenv(openssl_provider.FIPS_FOLDER_VARIABLE)
    assert (openssl_provider.fips_in_force(), openssl_provider.fips_folder()) == before


def test_md5_has_left_the_process_however_it_is_asked_for():
    said = fips.in_fips_mode(
        """
        import hashlib, hmac
        ways = (
            lambda: hashlib.md5(b""),
            lambda: hashlib.new("md5", b""),
            lambda: hashlib.new("md5", b"", usedforsecurity=False),
            lambda: hmac.new(b"k" * 20, b"", "md5"),
        )
        for way in ways:
            try:
                way()
                print("calculated")
            except ValueError:
                print("refused")
        """
    )
    assert said.split() == ["refused"] * 4


def test_the_environment_is_for_those_that_are_started_next():
    said = fips.in_fips_mode(
        """
        import os, subprocess, sys
        print(os.environ["OPENSSL_MODULES"].rpartition("/")[2])
        again = "import softphone.trust.fips.self_check as s; print(s.run_self_check().passed)"
        print(subprocess.run([sys.executable, "-c", again], capture_output=True, text=True).stdout)
        """
    )
    assert said.split() == ["first", "True"]


def test_a_process_that_is_not_started_so_loads_nothing_of_it():
    program = "import softphone, sys; print('softphone.openssl_provider' in sys.modules)"
    assert fips.python(program, env=fips.plain_environment()).stdout.strip() == "False"
    assert "softphone.openssl_provider" in sys.modules
