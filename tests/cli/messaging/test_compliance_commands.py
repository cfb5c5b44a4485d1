"""The words of `softphone compliance`."""

from __future__ import annotations


def test_a_table_that_is_not_there_is_wrong_usage_and_is_not_made(cli, tmp_path):
    ended = cli("compliance", "verify", tmp_path / "audit.db")
    assert ended.code == 2
    assert "no audit table" in ended.err
    assert not list(tmp_path.iterdir())


def test_a_hash_that_is_none_is_wrong_usage(cli, tmp_path):
    ended = cli("compliance", "verify", tmp_path / "audit.db", "--head", "abc")
    assert ended.code == 2
    assert "--head" in ended.err
