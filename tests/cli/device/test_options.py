"""`softphone config`: the commands are there, and want a store."""

from __future__ import annotations

import pytest

from softphone.cli.commands import application


def test_the_commands():
    groups = {each.name: each.typer_instance for each in application.registered_groups}
    names = {command.name for command in groups["config"].registered_commands}
    assert names == {"show", "verify", "decrypt"}


@pytest.mark.parametrize("command", ["show", "verify", "decrypt"])
def test_without_a_store_it_is_wrong_usage(cli, command, tmp_path):
    file = tmp_path / "CSFALICE.cnf.xml.sgn"
    file.write_bytes(b"\x01")
    assert cli("config", command, file).code == 2
    assert cli("config", command, file, "--store", tmp_path / "none").code in (2, 3)
    assert not (tmp_path / "none").exists()
