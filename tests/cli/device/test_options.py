"""`softphone config`: the commands are there, and want a store."""

from __future__ import annotations

import pytest
import typer

from softphone.cli.commands import application


def test_the_commands():
    groups = typer.main.get_command(application).commands
    assert {*groups["config"].commands} == {"show", "verify", "decrypt"}


@pytest.mark.parametrize("command", ["show", "verify", "decrypt"])
def test_without_a_store_it_is_wrong_usage(cli, command, tmp_path):
    file = tmp_path / "CSFALICE.cnf.xml.sgn"
    file.write_bytes(b"\x01")
    assert cli("config", command, file).code == 2
    assert cli("config", command, file, "--store", tmp_path / "none").code in (2, 3)
    assert not (tmp_path / "none").exists()
