"""The words of `softphone contacts`."""

from __future__ import annotations


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
