"""`softphone config`: the commands are there, and want a store."""

from __future__ import annotations

import pytest

from softphone.cli.device.config_commands import group


def test_the_commands():
    names = {command.callback.__name__ for command in group.registered_commands}
    assert names == {"show", "verify", "decrypt"}


@pytest.mark.parametrize("command", ["show", "verify", "decrypt"])
def test_without_a_store_it_is_wrong_usage(cli, command, tmp_path):
    file = tmp_path / "CSFALICE.cnf.xml.sgn"
    file.write_bytes(b"\x01")
    assert cli("config", command, file).code == 2
    assert cli("config", command, file, "--store", tmp_path / "none").code in (2, 3)
    assert not (tmp_path / "none").exists()
