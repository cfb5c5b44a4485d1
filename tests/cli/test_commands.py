"""The commands and their options."""

from __future__ import annotations

import subprocess
import sys

import pytest

from softphone import __version__

COMMANDS = ("call", "answer", "register", "lab", "demo", "doctor")
HEAVY = ("av", "aiortc", "aiohttp", "numpy", "cryptography", "asyncio", "rich.console")


def test_help_names_every_command_and_the_exit_codes(cli):
    outcome = cli("--help")
    assert outcome.code == 0
    for word in (*COMMANDS, "Exit codes:"):
        assert word in outcome.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(cli, command):
    outcome = cli(command, "--help")
    assert outcome.code == 0
    assert "--json" in outcome.out


@pytest.mark.parametrize("command", ["call", "answer"])
def test_the_promised_options_are_there(cli, command):
    text = cli(command, "--help").out
    for option in ("account", "play", "record", "digits", "duration", "srtp", "json", "ladder"):
        assert f"--{option}" in text


def test_the_version(cli):
    assert cli("--version").out.split() == ["softphone", __version__]


@pytest.mark.parametrize(
    "arguments",
    [
        ("call",),
        ("call", "bob"),
        ("answer",),
        ("dance",),
        ("demo", "--fast"),
        ("call", "bob", "--account", "x", "--duration", "soon"),
        ("lab", "--dir"),
    ],
    ids=" ".join,
)
def test_a_command_that_is_not_understood_is_exit_2_and_quiet_on_stdout(cli, arguments):
    outcome = cli(*arguments)
    assert outcome.code == 2
    assert outcome.out == ""
    assert "Error" in outcome.err


def test_help_loads_nothing_heavy():
    probe = (
        "import sys; sys.argv = ['softphone', '--help']\n"
        "from softphone.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True, timeout=30
    )
    assert ended.stderr.strip() == "[]"
