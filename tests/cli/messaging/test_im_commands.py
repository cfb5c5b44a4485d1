"""`softphone im`: what it is called with."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from softphone.cli.messaging.im_commands import group


@pytest.mark.parametrize("command", ["send", "chat", "fetch", "history"])
def test_each_command_says_what_it_takes(command):
    ended = CliRunner().invoke(group, [command, "--help"])
    assert ended.exit_code == 0
    assert "--account" in ended.output
    assert "--json" in ended.output
