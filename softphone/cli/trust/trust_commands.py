"""`softphone trust`: whom the phone believes; each command is a file of its own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from softphone.cli.console.options import (
    FirstUseOption,
    JsonOption,
    PinOption,
    StoreOption,
    run_command,
)

if TYPE_CHECKING:
    from softphone.cli.console.output import CommandOutput

__all__ = ["group"]

group = typer.Typer(
    help="Show and change whom the phone believes.", no_args_is_help=True, rich_markup_mode=None
)


@group.command()
def show(store: StoreOption, json: JsonOption = False) -> None:
    """Show the trust lists, anchors and pins of a store; no key is ever shown."""

    async def command(output: CommandOutput) -> int:
        from softphone.cli.trust.lists import show_store

        return show_store(output, store)

    run_command(command, json=json)


@group.command()
def check(
    file: Annotated[Path, typer.Argument(help="A CTL or an ITL (.tlv).")],
    store: StoreOption,
    pin: PinOption = None,
    first_use: FirstUseOption = False,
    json: JsonOption = False,
) -> None:
    """Check a trust list against those that are held; nothing is stored."""

    async def command(output: CommandOutput) -> int:
        from softphone.cli.trust.lists import BootstrapOptions, check_list

        return check_list(output, store, file, BootstrapOptions(pin or (), first_use))

    run_command(command, json=json)


@group.command(name="import")
def import_(
    files: Annotated[list[Path], typer.Argument(help="A CTL, an ITL, or both (.tlv).")],
    store: StoreOption,
    pin: PinOption = None,
    first_use: FirstUseOption = False,
    json: JsonOption = False,
) -> None:
    """Store trust lists that are believed; one that is refused replaces nothing."""

    async def command(output: CommandOutput) -> int:
        from softphone.cli.trust.lists import BootstrapOptions, import_lists

        return import_lists(output, store, files, BootstrapOptions(pin or (), first_use))

    run_command(command, json=json)


@group.command()
def reset(
    store: StoreOption,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: JsonOption = False,
) -> None:
    """Forget the trust lists, as when the phone moves to another cluster.

    Anchors, pins and the device's own certificate stay.
    """
    # Asked before there is an event loop, so that Ctrl-C is heard.
    if not yes and (json or not sys.stdin.isatty()):
        raise typer.BadParameter("there is nobody to ask: add --yes")
    question = f"Forget the trust lists in {store}? The next ones need a pin or a first use."
    if not yes and not typer.confirm(question, err=True):
        raise typer.Exit(1)

    async def command(output: CommandOutput) -> int:
        from softphone.cli.trust.lists import reset_lists

        return reset_lists(output, store)

    run_command(command, json=json)


@group.command()
def verify(
    place: Annotated[str, typer.Argument(metavar="HOST:PORT", help="A TLS server.")],
    service: Annotated[
        str,
        typer.Option("--service", metavar="NAME", help="sip, https, xmpp or capf."),
    ],
    ca: Annotated[
        list[str] | None,
        typer.Option("--ca", metavar="FILE", help='Believe this authority, or "system".'),
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option("--store", metavar="DIR", help="Believe what is in this store, too."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="Whom the certificate has to name: a domain."),
    ] = None,
    revocation: Annotated[
        str, typer.Option("--revocation", metavar="MODE", help="off, soft or hard.")
    ] = "soft",
    allow: Annotated[
        list[str] | None,
        typer.Option("--allow", metavar="WORD", help="Let this pass, as in an account file."),
    ] = None,
    tls: Annotated[
        str | None,
        typer.Option(
            "--tls",
            metavar="MODE",
            help="How a chat server begins: direct, or starttls (as on port 5222 anyway).",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Look at a server's certificates: the chain, each check, and what would make it pass."""

    async def command(output: CommandOutput) -> int:
        from softphone.cli.trust.verify import VerifyOptions, verify_server

        wanted = VerifyOptions(
            place, service, tuple(ca or ()), store, name, revocation, tuple(allow or ()), tls
        )
        return await verify_server(output, wanted)

    run_command(command, json=json)


@group.command()
def requirements(json: JsonOption = False) -> None:
    """Show which certificate each server of a deployment presents, and what has to be in it."""

    async def command(output: CommandOutput) -> int:
        from softphone.cli.trust.verify import show_requirements

        return await show_requirements(output)

    run_command(command, json=json)
