"""`softphone trust`: its commands and options."""

from __future__ import annotations

import sys

import pytest

from softphone.cli.trust import trust_commands


@pytest.mark.parametrize("command", ["show", "check", "import", "reset"])
def test_each_command_explains_itself(cli, command):
    seen = cli("trust", command, "--help")
    assert seen.code == 0
    assert "--store" in seen.out


def test_without_a_store_nothing_is_done(cli):
    assert cli("trust", "show").code == 2


def test_reset_asks_a_person_and_a_script_says_yes(cli, tmp_path, monkeypatch):
    seen = cli("trust", "reset", "--store", tmp_path)
    assert seen.code == 2
    assert "add --yes" in seen.err
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    answers = iter([False, True])
    monkeypatch.setattr(trust_commands.typer, "confirm", lambda question, err: next(answers))
    assert cli("trust", "reset", "--store", tmp_path).code == 1
    assert cli("trust", "reset", "--store", tmp_path).code == 0
    assert cli("trust", "reset", "--store", tmp_path, "--json").code == 2
