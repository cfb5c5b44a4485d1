"""`softphone config`: what configuration files say, and whether they are to be believed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from softphone.cli.console.options import (
    AskPassphraseOption,
    JsonOption,
    KeyringOption,
    PassphraseFdOption,
    StoreOption,
    run_command,
)

if TYPE_CHECKING:
    from softphone.cli.console.output import CommandOutput
    from softphone.cli.device.config import ConfigFileQuery

__all__ = ["group"]

group = typer.Typer(
    help="Show, verify and decrypt configuration files.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

FileArgument = Annotated[
    Path,
    typer.Argument(
        help="A .cnf.xml, .cnf.xml.sgn or .cnf.xml.enc.sgn file, or a device that the store knows."
    ),
]
NameOption = Annotated[
    str | None,
    typer.Option("--name", metavar="NAME", help="The name it was asked for by; else the file's."),
]
DeviceOption = Annotated[
    str | None,
    typer.Option("--device", metavar="NAME", help="Whose key opens it; else the file's name says."),
]


def _question(
    file: Path,
    store: Path,
    name: str | None,
    device: str | None,
    secret: tuple[int | None, str | None, bool],
) -> ConfigFileQuery:
    from softphone.cli.console.passphrase import PassphraseSource
    from softphone.cli.device.config import ConfigFileQuery, resolve_config_file

    return ConfigFileQuery(
        resolve_config_file(file, store), store, name, device, PassphraseSource(*secret)
    )


@group.command()
def show(
    file: FileArgument,
    store: StoreOption,
    name: NameOption = None,
    device: DeviceOption = None,
    passphrase_fd: PassphraseFdOption = None,
    keyring: KeyringOption = None,
    ask_passphrase: AskPassphraseOption = False,
    json: JsonOption = False,
) -> None:
    """Show what a configuration says, secrets masked, and whether it is to be believed."""
    secret = (passphrase_fd, keyring, ask_passphrase)

    async def command(output: CommandOutput) -> int:
        from softphone.cli.device.config import show_file

        return await show_file(output, _question(file, store, name, device, secret))

    run_command(command, json=json)


@group.command()
def verify(
    file: FileArgument,
    store: StoreOption,
    name: NameOption = None,
    json: JsonOption = False,
) -> None:
    """Check name, signature, signer and age of a file; nothing is stored."""

    async def command(output: CommandOutput) -> int:
        from softphone.cli.device.config import verify_one

        return await verify_one(output, _question(file, store, name, None, (None, None, False)))

    run_command(command, json=json)


@group.command()
def decrypt(
    file: FileArgument,
    store: StoreOption,
    name: NameOption = None,
    device: DeviceOption = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write it there, secrets and all (0600)."),
    ] = None,
    passphrase_fd: PassphraseFdOption = None,
    keyring: KeyringOption = None,
    ask_passphrase: AskPassphraseOption = False,
    json: JsonOption = False,
) -> None:
    """Verify a file, decrypt it with the device's key, and print it, secrets masked."""
    secret = (passphrase_fd, keyring, ask_passphrase)

    async def command(output: CommandOutput) -> int:
        from softphone.cli.device.config import decrypt_one

        return await decrypt_one(output, _question(file, store, name, device, secret), out)

    run_command(command, json=json)
