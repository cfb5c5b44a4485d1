"""`softphone contacts search` against the lab's directory."""

from __future__ import annotations

import re

import pytest


@pytest.fixture
def config(lab):
    """The lab's own file."""
    return lab["alice"].parent / "directory.toml"


def test_people_are_found_and_told_one_a_line(cli, config):
    ended = cli("contacts", "search", "ALI", "--config", config, "--json")
    assert ended.code == 0
    (person,) = [event for event in ended.events if event["event"] == "contact"]
    assert person["name"] == "Alice Example"
    assert person["numbers"] == [{"kind": "work", "number": "1001"}]
    assert person["sources"] == ["lab"]
    assert ended.summary["found"] == 1


def test_a_person_sees_a_table(cli, config):
    ended = cli("contacts", "search", "1002", "--config", config)
    assert ended.code == 0
    for word in ("Bob Example", "1002 (work)", "bob@example.test", "lab", "1 found"):
        assert word in ended.out


def test_nobody_is_exit_code_1(cli, config):
    ended = cli("contacts", "search", "nobody", "--config", config, "--json")
    assert (ended.code, ended.summary["result"], ended.summary["found"]) == (1, "failed", 0)


def test_a_server_that_is_not_believed_is_exit_code_3(cli, config, tmp_path):
    copy = tmp_path / "directory.toml"
    text = config.read_text().partition("[tls]")[0]
    copy.write_text(re.sub("password_file.*", 'password = "unseen"', text))
    copy.chmod(0o600)
    ended = cli("contacts", "search", "alice", "--config", copy)
    assert ended.code == 3
    assert "unseen" not in ended.out + ended.err


def test_one_directory_that_fails_does_not_hide_the_other(cli, config, unused_tcp_port):
    more = f'\n[directory.other]\nkind = "uds"\nserver = "127.0.0.1:{unused_tcp_port}"\n'
    copy = config.with_name("two.toml")
    copy.write_text(more + config.read_text())
    copy.chmod(0o600)
    ended = cli("contacts", "search", "alice", "--config", copy, "--json")
    assert ended.code == 0
    assert [event["directory"] for event in ended.events if event["event"] == "failure"] == [
        "other"
    ]
    assert "other: " in ended.err
