"""Commands by their place in the code: each is imported, and its options are made, when it is used.

A list of commands needs their names and a sentence of each, and loads nothing else: `--help` and
completion are as fast as a program with no commands.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

from typer.core import TyperCommand, TyperGroup

if TYPE_CHECKING:
    from softphone.cli.console.options import CommandOptions

_EXAMPLE_WIDTH = 70


class OptionCommand(TyperCommand):
    """The command of a dataclass of options, whose place is `module:class`.

    `sentence` is the first one of the class's docstring, for lists of commands; without it the
    class is imported for a list, too.  `settings` are typer's own.
    """

    def __init__(self, name: str, place: str, sentence: str = "", **settings: Any) -> None:
        super().__init__(name, short_help=sentence or None, rich_markup_mode=None, **settings)
        self._place = place
        self._made = False

    @cached_property
    def kind(self) -> type[CommandOptions]:
        """The dataclass."""
        module, _, name = self._place.partition(":")
        found: type[CommandOptions] = getattr(import_module(module), name)
        return found

    def make_options(self) -> None:
        """Make the parameters, the callback and the help, once."""
        if self._made:
            return
        self._made = True
        from softphone.cli.console.options import make_command

        made = make_command(self.kind)
        self.params, self.callback, self.help = made.params, made.callback, made.help
        self.epilog = "\n\n".join(filter(None, (examples_text(self.kind), self.kind.epilog)))

    # The class of the context has different names in different versions of typer.
    def get_params(self, ctx: Any) -> Any:
        """Return the parameters, and `--help`."""
        self.make_options()
        return super().get_params(ctx)

    def get_short_help_str(self, limit: int = 45) -> str:
        """Return the sentence for a list of commands."""
        self.short_help = self.short_help or first_sentence(self.kind)
        return super().get_short_help_str(limit)


def command_group(name: str, text: str, commands: Iterable[OptionCommand]) -> TyperGroup:
    """Make a command that has others."""
    named: dict[str, Any] = {each.name: each for each in commands if each.name is not None}
    return TyperGroup(
        name=name, help=text, commands=named, no_args_is_help=True, rich_markup_mode=None
    )


def first_sentence(kind: type[CommandOptions]) -> str:
    """Return the first sentence of a command's docstring, as a list of commands shows it."""
    text = inspect.cleandoc(kind.__doc__ or "").partition("\n\n")[0]
    return " ".join(text.split()).removesuffix(".")


def examples_text(kind: type[CommandOptions]) -> str:
    """Return the examples of a command, for its help; "" without any."""
    if not kind.examples:
        return ""
    # \b: typer leaves these lines as they are.
    head = "Example:" if len(kind.examples) == 1 else "Examples:"
    return "\n".join(["\b", head, *(f"  {break_example(line)}" for line in kind.examples)])


def break_example(line: str) -> str:
    """Break a command line before options to fit 80 columns, as a shell accepts it."""
    whole, *more = line.split(" --")
    lines = [whole]
    for each in more:
        if len(lines[-1]) + len(each) > _EXAMPLE_WIDTH:
            lines[-1] += " \\"
            lines.append(f"     --{each}")
        else:
            lines[-1] += f" --{each}"
    return "\n".join(lines)
