"""The commands and their options."""

from __future__ import annotations

import shlex
import subprocess
import sys

import pytest
import typer

from softphone import __version__
from softphone.cli.commands import application
from softphone.cli.console.options import OptionCommand, break_example

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


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_the_version(cli, flag):
    assert cli(flag).out.split() == ["softphone", __version__]


def commands(group, words=("softphone",)):
    """Every command below a group, with the words that lead to it."""
    for name, command in group.commands.items():
        if isinstance(command, OptionCommand):
            yield (*words, name), command
        else:
            yield from commands(command, (*words, name))


ROOT = typer.main.get_command(application)
EVERY = [pytest.param(*each, id=" ".join(each[0])) for each in commands(ROOT)]


@pytest.mark.parametrize(("words", "command"), EVERY)
def test_help_is_asked_for_in_three_letters_and_has_examples_that_can_be_typed(cli, words, command):
    outcome = cli(*words[1:], "-h")
    assert outcome.code == 0
    assert outcome.out.isascii()
    assert "-v, --verbose" in outcome.out
    assert command.kind.examples
    for line in command.kind.examples:
        example = break_example(line)
        assert all(len(each) <= 76 for each in example.splitlines()), example
        shown = "\n".join(f"  {each}" for each in f"  {example}".split("\n"))
        assert shown in outcome.out, outcome.out
        typed = shlex.split(example.replace("\\\n", ""))
        assert tuple(typed[: len(words)]) == words
        context = command.make_context(words[-1], typed[len(words) :])
        assert context.params


def test_v_counts_before_and_after_the_command(monkeypatch, cli):
    seen = []

    def carry_out(self):
        seen.append(self.verbose)
        sys.exit(0)

    monkeypatch.setattr("softphone.cli.console.options.CommandOptions.carry_out", carry_out)
    for words in (["demo"], ["-v", "demo"], ["demo", "-v"], ["demo", "-vv"], ["-v", "demo", "-v"]):
        cli(*words)
    assert seen == [0, 1, 1, 2, 2]


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
