"""`softphone load`: its commands, and what their help says."""

from __future__ import annotations

import inspect

import pytest

from softphone.cli.load.options import CapacityOptions, LoadOptions


def test_help_names_both_commands(cli):
    shown = cli("load", "--help")
    assert shown.code == 0
    assert "find-capacity" in shown.out
    assert "run" in shown.out


@pytest.mark.parametrize("command", ["run", "find-capacity"])
def test_each_has_help_with_its_exit_codes(cli, command):
    shown = cli("load", command, "--help")
    assert shown.code == 0
    for word in ("--expect", "--user-template", "--fault", "Exit codes"):
        assert word in shown.out


def test_an_unknown_option_is_wrong_usage(cli):
    assert cli("load", "run", "--speed", "9").code == 2


def test_a_mistake_ends_with_the_whole_summary(cli):
    ended = cli("load", "run", "--target", "sip:a@127.0.0.1", "--calls", "0", "--json")
    assert ended.code == 2
    assert ended.summary["valid"] is False
    assert ended.summary["calls"]["attempted"] == 0
    assert "0 calls" in ended.summary["reason"]


def test_a_search_takes_all_that_a_run_takes():
    run = set(inspect.signature(LoadOptions).parameters)
    search = set(inspect.signature(CapacityOptions).parameters)
    assert search - run == {"most", "precision", "confirm", "repeat"}
    assert run < search
