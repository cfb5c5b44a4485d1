"""The commands and their options."""

from __future__ import annotations

import shlex
import subprocess
import sys

import pytest
import typer

from softphone import __version__
from softphone.cli.commands import COMMANDS as IN_NO_GROUP
from softphone.cli.commands import application
from softphone.cli.console.command_tree import OptionCommand, break_example, first_sentence

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


@pytest.mark.parametrize("name", [name for name, _, _ in IN_NO_GROUP])
def test_the_sentence_in_the_list_is_the_first_of_the_command(name):
    command = ROOT.commands[name]
    assert command.short_help == first_sentence(command.kind)


@pytest.mark.parametrize(("words", "command"), EVERY)
def test_every_command_says_what_it_does(words, command):
    assert command.get_short_help_str(200) == first_sentence(command.kind) != ""
    command.make_options()
    assert command.help.startswith(command.short_help)


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


def modules_of(*arguments):
    """The modules that a command loads."""
    probe = (
        f"import sys; sys.argv = ['softphone', *{arguments!r}]\n"
        "from softphone.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True, timeout=90
    )
    return set(ended.stderr.split())


def test_help_loads_nothing_heavy():
    assert modules_of("--help") & {*HEAVY} == set()


@pytest.mark.parametrize(
    ("arguments", "loaded"),
    [
        (("--help",), set()),
        (("-V",), set()),
        (("call", "--help"), {"call"}),
        (("trust", "--help"), {"trust"}),
        (("demo", "--help"), {"demo"}),
    ],
)
def test_only_the_options_of_the_command_asked_for_are_loaded(arguments, loaded):
    found = modules_of(*arguments)
    options = {each for each in found if each.endswith(".options")}
    expected = {f"softphone.cli.{each}.options" for each in (*loaded, "console") if loaded}
    assert options == expected
