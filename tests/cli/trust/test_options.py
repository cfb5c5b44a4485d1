"""`softphone trust` and `softphone csr`: their commands and options."""

from __future__ import annotations

import sys

import pytest

from softphone.cli.trust import options


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
    monkeypatch.setattr(options.typer, "confirm", lambda question, err: next(answers))
    assert cli("trust", "reset", "--store", tmp_path).code == 1
    assert cli("trust", "reset", "--store", tmp_path).code == 0
    assert cli("trust", "reset", "--store", tmp_path, "--json").code == 2


def test_the_group_of_requests_explains_its_commands(cli):
    shown = cli("csr", "--help")
    assert "new" in shown.out
    assert "check" in shown.out


def test_a_request_needs_a_service_and_a_name(cli):
    refused = cli("csr", "new")
    assert refused.code == 2
    assert "--service" in refused.err


def test_a_service_that_is_none_is_named_with_those_that_are(cli, tmp_path):
    refused = cli("csr", "new", "--service", "ftp", "--name", "a.example.com", "--dir", tmp_path)
    assert refused.code == 2
    assert "tomcat, cup-xmpp, CallManager, client" in refused.err
