"""The commands of `softphone fips`; what they do is in `softphone.cli.fips.fips`."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from softphone.cli.console.options import JsonOption

if TYPE_CHECKING:
    from softphone.cli.console.output import CommandOutput

__all__ = ["choose_mode", "group"]

group = typer.Typer(
    name="fips",
    help="FIPS mode: cryptography by OpenSSL's FIPS provider, or not at all.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def choose_mode(wanted: bool | None) -> None:
    """Take the option `--fips` or `--no-fips`, which counts before every other setting."""
    if wanted is not None:
        from softphone.trust.fips import set_bootstrap_setting

        set_bootstrap_setting(wanted, "--fips" if wanted else "--no-fips")


def _carry_out(command: Callable[[CommandOutput], Awaitable[int]], *, json: bool) -> None:
    """Run a command that sees to its mode itself."""
    from softphone.cli.console.runner import RunOptions, run

    sys.exit(run(RunOptions(json, summary={}, any_mode=True), command))


@group.command()
def setup(
    module: Annotated[
        Path | None,
        typer.Option("--module", metavar="FILE", help="The provider; else the system's own."),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--dir", metavar="DIR", help="Where to; else SOFTPHONE_FIPS_DIR, or ~."),
    ] = None,
    lenient: Annotated[
        bool,
        typer.Option(
            "--lenient",
            help="Without the strictest checks, for TLS 1.2 servers without RFC 7627.",
        ),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Set FIPS mode up for this user, and try it."""

    async def command(output: CommandOutput) -> int:
        from softphone.cli.fips.fips import set_up

        return await set_up(output, folder, module, lenient=lenient)

    _carry_out(command, json=json)


@group.command()
def status(json: JsonOption = False) -> None:
    """Tell the mode, who decided it, the provider, and the self-check of each library."""

    async def command(output: CommandOutput) -> int:
        from softphone.cli.fips.fips import show_status

        return await show_status(output)

    _carry_out(command, json=json)


@group.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def run(
    command: Annotated[list[str], typer.Argument(help="A program that uses softphone.")],
) -> None:
    """Run another program in FIPS mode: `softphone fips run -- python app.py`."""

    async def become(output: CommandOutput) -> int:
        from softphone.cli.fips.fips import run_program

        run_program(command)

    _carry_out(become, json=False)
