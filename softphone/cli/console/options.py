"""Commands as dataclasses of their options, and the options that several of them have.

A command is a class: its fields are the options, its docstring is the help text, `examples` follow.
The function that carries it out is named, and imported when the command is run, so that `--help`
loads nothing else.
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

    `bounds` are the `min` and `max` of a number, and whatever else typer takes.
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
HepOption = Annotated[
    str | None,
    option(
        "--hep",
        "Send each SIP message, secrets masked, to a Homer collector there (HEP3 over UDP).",
        "HOST[:PORT]",
    ),
]
KeyLogOption = Annotated[
    Path | None,
    option(
        "--tls-key-log",
        "Append the keys of TLS to a file of yours, for Wireshark: it opens this traffic.",
        "FILE",
    ),
]
StoreOption = Annotated[Path, option("--store", "The folder of trust lists and identities.", "DIR")]
PinOption = Annotated[
    list[str] | None,
    option(
        "--pin",
        "Trust this signer: the certificate's SHA-256, or the certificate; may be repeated.",
        "SHA256|FILE",
    ),
]
FirstUseOption = Annotated[
    bool, option("--trust-on-first-use", "Trust the first list, whoever signed it, and say so.")
]


@dataclass_transform(kw_only_default=True)
def option_dataclass(kind: type[T]) -> type[T]:
    """Make a keyword-only dataclass; without a repr, since passwords may be among its values.

    What commands do not need, such as comparison, would take a third of the time to make them.
    """
    return dataclass(kw_only=True, repr=False, eq=False)(kind)


class OptionGroup:
    """Options that commands take together: a field of this type stands for all of the group."""


@option_dataclass
class CommandOptions:
    """One command: fields whose type has typer's Option or Argument are options; others are not."""

    carried_out_by: ClassVar[str] = ""
    """`module:function`, which takes the output and these options; imported when it is run."""
    examples: ClassVar[tuple[str, ...]] = ()
    """Command lines as they could be typed, for the help, the pages and the manual."""
    epilog: ClassVar[str] = ""
    """What stands below the examples."""
    any_mode: ClassVar[bool] = False
    """Whether the command itself handles FIPS mode."""
    pins: ClassVar[bool] = False
    """Whether the command has --ca and --pin, and never asks about a certificate."""
    # No fields: each command that has these options decides where they are listed.
    json = False
    ladder = False
    verbose: Annotated[
        int,
        option(
            "--verbose",
            "Log registration, connection and calls; -vv also the SIP messages, secrets masked.",
            None,
            "-v",
            count=True,
            show_default=False,
        ),
    ] = 0
    log_format: Annotated[
        str | None,
        option("--log-format", "text, or json: standard error has one object a line.", "FORMAT"),
    ] = None

    async def run(self, output: CommandOutput) -> int:
        """Carry the command out and return the exit code."""
        module, _, name = self.carried_out_by.partition(":")
        function: Callable[[CommandOutput, CommandOptions], Awaitable[int]]
        function = getattr(import_module(module), name)
        return await function(output, self)

    def blank_summary(self) -> Mapping[str, Any] | None:
        """The fields of its summary however it ends; None: the command prints no summary."""
        return {}

    def carry_out(self) -> None:
        """Run the command, and exit with its exit code."""
        from softphone.cli.console.runner import RunOptions, run

        options = RunOptions(
            self.json,
            self.ladder,
            self.blank_summary(),
            self.any_mode,
            self.verbose,
            self.pins,
            self.log_format or "text",
        )
        sys.exit(run(options, self.run))


@option_dataclass
class PassphraseOptions(OptionGroup):
    """The source of a private key's passphrase; see `softphone.cli.console.passphrase`."""

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
    """The options for unknown certificates; `store` keeps the accepted ones."""

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
    """The options of `CertificateOptions`, and those for encrypted keys."""

    passphrase: PassphraseOptions = field(default_factory=PassphraseOptions)


def make_command(kind: type[CommandOptions]) -> Any:
    """Make typer's command of a dataclass of options: parameters, callback and help."""
    single = typer.Typer(add_completion=False, rich_markup_mode=None)
    function = _function_of(kind)
    function.__doc__ = kind.__doc__
    single.command()(function)
    return typer.main.get_command(single)


_OF_ALL = ("verbose", "log_format")
"""Options of every command."""


def _function_of(kind: type[CommandOptions]) -> Callable[..., None]:
    """Return a function from whose signature typer makes the options."""
    parameters = list(_parameters(kind))
    # The options of all commands come last in the help.
    parameters.sort(key=lambda each: each.name in _OF_ALL)

    def command(context: typer.Context, **values: Any) -> None:
        # Those before the name of the command count as well.
        before = context.find_root().params if context.parent is not None else {}
        verbose = values["verbose"] + before.get("verbose", 0)
        log_format = values["log_format"] or before.get("log_format")
        _filled(kind, {**values, "verbose": verbose, "log_format": log_format}).carry_out()

    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    command.__signature__ = inspect.Signature([context, *parameters])  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in (context, *parameters)}
    return command


def _fields(kind: type) -> Iterator[tuple[str, Any, Any]]:
    """Yield name, type and default of each field that is an option or a group of options."""
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
    """Make an instance, with its option groups, from the values."""
    return kind(
        **{
            name: _filled(hint, values) if _is_group(hint) else values[name]
            for name, hint, _ in _fields(kind)
        }
    )
