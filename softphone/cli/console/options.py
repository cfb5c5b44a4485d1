"""Commands as dataclasses of their options, and the options that several of them have.

A command is a class: its fields are the options, its docstring is the help.  What carries it out is
named, and imported when it is run, so that `--help` loads nothing else.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from importlib import import_module
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    TypeVar,
    dataclass_transform,
    get_type_hints,
)

import typer

if TYPE_CHECKING:
    from softphone.cli.console.output import CommandOutput

T = TypeVar("T")


def option(flag: str, text: str, metavar: str | None = None, *also: str, **bounds: Any) -> Any:
    """An option of a command, for its field's type: its flag and help, `also` another flag of it.

    `bounds` are the `min` and `max` of a number.
    """
    return typer.Option(flag, *also, help=text or None, metavar=metavar, **bounds)


AccountOption = Annotated[Path, option("--account", "The account file (TOML).", "FILE")]
DeviceArgument = Annotated[str, typer.Argument(help="The device's name, such as CSFALICE.")]
JsonOption = Annotated[
    bool, option("--json", "Print one JSON object a line; the last is the summary.")
]
LadderOption = Annotated[
    bool, option("--ladder", "Print the SIP messages as a ladder, secrets masked.")
]
StoreOption = Annotated[Path, option("--store", "The folder of trust lists and identities.", "DIR")]
PinOption = Annotated[
    list[str] | None,
    option(
        "--pin",
        "Believe this signer: the certificate's SHA-256, or the certificate; may be repeated.",
        "SHA256|FILE",
    ),
]
FirstUseOption = Annotated[
    bool, option("--trust-on-first-use", "Believe the first list, whoever signed it, and say so.")
]


@dataclass_transform(kw_only_default=True)
def option_dataclass(kind: type[T]) -> type[T]:
    """A dataclass by keyword; without a repr, since passwords may be among its values.

    Every start of the program makes the classes of all commands: what they do not need, such as
    comparison, takes a third of that time.
    """
    return dataclass(kw_only=True, repr=False, eq=False)(kind)


class OptionGroup:
    """Options that commands take together: a field of this type stands for them, in its place."""


class CommandOptions:
    """One command: a field whose type has typer's Option or Argument is one; others are none."""

    carried_out_by: ClassVar[str] = ""
    """`module:function`, which takes the output and these options; imported when it is run."""
    any_mode: ClassVar[bool] = False
    """Whether the command sees itself to whether it runs in FIPS mode."""
    json: bool = False
    ladder: bool = False

    async def run(self, output: CommandOutput) -> int:
        """Carry the command out; gives the exit code."""
        module, _, name = self.carried_out_by.partition(":")
        function: Callable[[CommandOutput, CommandOptions], Awaitable[int]]
        function = getattr(import_module(module), name)
        return await function(output, self)

    def blank_summary(self) -> Mapping[str, Any] | None:
        """The fields that its summary has however it ends; None: it ends without a summary."""
        return {}

    def carry_out(self) -> None:
        """Run, and leave with the exit code."""
        from softphone.cli.console.runner import RunOptions, run

        options = RunOptions(self.json, self.ladder, self.blank_summary(), self.any_mode)
        sys.exit(run(options, self.run))


@option_dataclass
class PassphraseOptions(OptionGroup):
    """Where the passphrase of a private key comes from; see `softphone.cli.console.passphrase`."""

    passphrase_fd: Annotated[
        int | None,
        option("--passphrase-fd", "Read the key's passphrase from this descriptor.", "N"),
    ] = None
    keyring: Annotated[
        str | None,
        option("--keyring", "Take the key's passphrase from the user's keyring.", "NAME"),
    ] = None
    ask_passphrase: bool = False

    @property
    def is_given(self) -> bool:
        """Whether the user has named a source."""
        return self.passphrase_fd is not None or self.keyring is not None or self.ask_passphrase


@option_dataclass
class AskedPassphraseOptions(PassphraseOptions):
    """Passphrase options of a command that asks only with --ask-passphrase."""

    ask_passphrase: Annotated[bool, option("--ask-passphrase", "Ask for the key's passphrase.")] = (
        False
    )


@option_dataclass
class CertificateOptions(OptionGroup):
    """What to do with unknown certificates; `store` keeps the accepted ones."""

    accept: Annotated[
        str | None,
        option(
            "--accept-fingerprint",
            "Accept the server's unknown certificate if this is its fingerprint, and keep it.",
            "SHA256",
        ),
    ] = None
    no_prompt: Annotated[
        bool, option("--no-prompt", "Never ask: an unknown certificate is refused.")
    ] = False
    store: Annotated[
        Path | None, option("--store", "Where accepted certificates are kept.", "DIR")
    ] = None


@option_dataclass
class TrustOptions(CertificateOptions):
    """The same, and about keys that are locked."""

    passphrase: PassphraseOptions = field(default_factory=PassphraseOptions)


def add_command(group: typer.Typer, name: str, kind: type[CommandOptions], **words: Any) -> None:
    """Make a command of a dataclass of options; `words` are typer's own."""
    parameters = list(_parameters(kind))

    def command(**values: Any) -> None:
        _filled(kind, values).carry_out()

    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    command.__doc__ = kind.__doc__
    group.command(name, **words)(command)


def _fields(kind: type) -> Iterator[tuple[str, Any, Any]]:
    """Name, type and default of each field that is an option or a group of them."""
    hints = get_type_hints(kind, include_extras=True)
    for each in fields(kind):
        hint = hints[each.name]
        if hasattr(hint, "__metadata__") or _is_group(hint):
            default = inspect.Parameter.empty if each.default is MISSING else each.default
            yield each.name, hint, default


def _is_group(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, OptionGroup)


def _parameters(kind: type) -> Iterator[inspect.Parameter]:
    for name, hint, default in _fields(kind):
        if _is_group(hint):
            yield from _parameters(hint)
        else:
            yield inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint
            )


def _filled(kind: type[T], values: Mapping[str, Any]) -> T:
    """An instance, each group in it made of the values that are its own."""
    return kind(
        **{
            name: _filled(hint, values) if _is_group(hint) else values[name]
            for name, hint, _ in _fields(kind)
        }
    )
