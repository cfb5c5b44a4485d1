"""`softphone im`, `contacts` and `compliance`: what they are called with."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("command", ["send", "chat", "fetch", "history"])
def test_each_command_says_what_it_takes(cli, command):
    ended = cli("im", command, "--help")
    assert ended.code == 0
    assert "--account" in ended.out
    assert "--json" in ended.out


def test_a_file_is_needed(cli):
    ended = cli("contacts", "search", "ann")
    assert ended.code == 2
    assert "--config" in ended.err


def test_a_file_with_a_wrong_key_is_wrong_usage(cli, tmp_path):
    path = tmp_path / "directory.toml"
    path.write_text('[directory.own]\nkind = "uds"\nserfer = "x"\n')
    ended = cli("contacts", "search", "ann", "--account", path)
    assert ended.code == 2
    assert "directory.toml:3: directory.own.serfer" in ended.err.replace("\n", "")


def test_the_limit_is_a_number_above_0(cli, tmp_path):
    assert cli("contacts", "search", "ann", "--config", tmp_path, "--limit", "0").code == 2


def test_a_table_that_is_not_there_is_wrong_usage_and_is_not_made(cli, tmp_path):
    ended = cli("compliance", "verify", tmp_path / "audit.db")
    assert ended.code == 2
    assert "no audit table" in ended.err
    assert not list(tmp_path.iterdir())


def test_a_hash_that_is_none_is_wrong_usage(cli, tmp_path):
    ended = cli("compliance", "verify", tmp_path / "audit.db", "--head", "abc")
    assert ended.code == 2
    assert "--head" in ended.err
