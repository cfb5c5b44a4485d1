"""The words of `softphone fips`, and the option that decides the mode."""

from __future__ import annotations

import os

import pytest

from softphone.cli.fips.options import choose_mode


@pytest.fixture(autouse=True)
def _unset(monkeypatch):
    for name in ("SOFTPHONE_FIPS", "SOFTPHONE_FIPS_SOURCE"):
        monkeypatch.setenv(name, "")


@pytest.mark.parametrize(
    ("wanted", "setting", "source"),
    [(True, "true", "--fips"), (False, "false", "--no-fips"), (None, "", "")],
)
def test_the_option_counts_before_the_environment(wanted, setting, source):
    choose_mode(wanted)
    assert os.environ["SOFTPHONE_FIPS"] == setting
    assert os.environ["SOFTPHONE_FIPS_SOURCE"] == source


def test_every_command_is_told_of(cli):
    said = cli("fips", "--help").out
    assert all(word in said for word in ("setup", "status", "run"))
    assert "--fips" in cli("--help").out
    assert "--lenient" in cli("fips", "setup", "--help").out


def test_a_wrong_setting_is_wrong_usage(cli, monkeypatch):
    monkeypatch.setenv("SOFTPHONE_FIPS", "perhaps")
    outcome = cli("fips", "status")
    assert outcome.code == 2
    assert "expected true or false" in outcome.err
    assert cli("demo").code == 2


def test_fips_mode_that_is_not_set_up_is_refused_on_security_grounds(cli, monkeypatch, tmp_path):
    monkeypatch.setenv("SOFTPHONE_FIPS_DIR", str(tmp_path))
    outcome = cli("--fips", "demo", "--json")
    assert (outcome.code, outcome.summary["result"]) == (3, "refused")
    assert "softphone fips setup" in outcome.summary["reason"]
