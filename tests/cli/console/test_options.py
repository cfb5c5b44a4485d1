"""Commands as dataclasses of their options, and the options that several of them have."""

from __future__ import annotations

import json
from dataclasses import asdict, field
from importlib import import_module
from inspect import iscoroutinefunction, signature, unwrap
from typing import Annotated, get_type_hints

import pytest
import typer

from softphone.cli.commands import application
from softphone.cli.console.command_tree import OptionCommand, command_group
from softphone.cli.console.options import (
    CommandOptions,
    OptionGroup,
    PassphraseOptions,
    TrustOptions,
    option,
    option_dataclass,
)
from softphone.cli.console.output import CommandOutput
from softphone.trust import FileRefusalReason, FileRefused


@option_dataclass
class Where(OptionGroup):
    """A group of options."""

    place: Annotated[str, option("--place", "Where.", "TEXT")] = "here"


@option_dataclass
class Few(CommandOptions):
    """Do it."""

    who: Annotated[str, typer.Argument(help="Who.")]
    calls: Annotated[int, option("--calls", "How many.")] = 3
    where: Where = field(default_factory=Where)
    names: Annotated[list[str] | None, option("--name", "Who.")] = None
    kept: str = "no option"

    def carry_out(self):
        GIVEN.append(asdict(self))


GIVEN: list[dict] = []
PROGRAM = typer.main.get_command(application)


def run(command, *arguments):
    """Run a command; return its exit status."""
    with pytest.raises(SystemExit) as left:
        command.main([*arguments])
    return left.value.code


def test_a_command_gets_what_was_given_and_the_defaults():
    GIVEN.clear()
    few = OptionCommand("do", f"{__name__}:Few")
    assert run(few, "bob") == 0
    given = ["--calls", "5", "--name", "a", "--name", "b", "--place", "there", "bob"]
    assert run(few, *given) == 0
    usual = asdict(Few(who="bob"))
    there = {"calls": 5, "names": ["a", "b"], "where": {"place": "there"}}
    assert [usual, usual | there] == GIVEN
    assert run(few, "--calls", "many", "bob") == 2
    assert run(few) == 2
    assert run(few, "--kept", "x", "bob") == 2


def test_help_names_the_options_of_a_group_in_its_place(capsys):
    few = command_group("few", "A few.", [OptionCommand("do", f"{__name__}:Few")])
    assert run(few, "--help") == 0
    assert "do  Do it\n" in capsys.readouterr().out
    assert run(few, "do", "--help") == 0
    shown = capsys.readouterr().out
    assert "Do it." in shown
    assert shown.index("--calls") < shown.index("--place TEXT") < shown.index("--name")


def test_no_value_of_an_option_is_in_its_repr():
    secret = TrustOptions(accept="secret", passphrase=PassphraseOptions(keyring="secret"))
    assert "secret" not in repr(secret)


def kinds_of_commands(group):
    for each in group.commands.values():
        if isinstance(each, OptionCommand):
            yield each.kind
        else:
            yield from kinds_of_commands(each)


@pytest.mark.parametrize("kind", list(kinds_of_commands(PROGRAM)), ids=lambda kind: kind.__name__)
def test_what_carries_a_command_out_takes_its_options(kind):
    module, _, name = kind.carried_out_by.partition(":")
    function = unwrap(getattr(import_module(module), name))
    output, options = list(signature(function).parameters)
    hints = get_type_hints(function)
    assert hints[output] is CommandOutput
    assert issubclass(kind, hints[options])
    assert iscoroutinefunction(function)


@option_dataclass
class Refused(CommandOptions):
    """Refuse."""

    async def run(self, output):
        raise FileRefused(FileRefusalReason.NO_ANCHOR, "nobody is believed yet")


@pytest.mark.parametrize(("as_json", "code"), [(True, 3), (False, 3)])
def test_a_refusal_is_a_sentence_and_an_exit_code(capsys, as_json, code):
    refused = Refused()
    refused.json = as_json
    with pytest.raises(SystemExit) as left:
        refused.carry_out()
    assert left.value.code == code
    seen = capsys.readouterr()
    assert "error: nobody is believed yet" in seen.err
    lines = [json.loads(line) for line in seen.out.splitlines()]
    assert [line["event"] for line in lines] == (["error", "summary"] if as_json else [])
