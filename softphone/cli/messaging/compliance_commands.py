"""`softphone compliance`: the audit table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from softphone.cli.console.options import JsonOption, run_command

if TYPE_CHECKING:
    from softphone.cli.console.output import CommandOutput

__all__ = ["group"]

group = typer.Typer(
    help="Look after the audit table of messages and files.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@group.callback()
def _root() -> None:
    """Look after the audit table of messages and files."""


@group.command()
def verify(
    address: Annotated[
        str, typer.Argument(help="A file of SQLite, or SQLAlchemy's address of a database.")
    ],
    head: Annotated[
        str | None,
        typer.Option("--head", metavar="SHA256", help="The newest hash, as it was noted before."),
    ] = None,
    ca: Annotated[
        list[str] | None,
        typer.Option(
            "--ca", metavar="FILE", help='Believe this authority of a database, or "system".'
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Go through the chain of hashes: 0 when every row is as it was written, else 3."""

    async def command(output: CommandOutput) -> int:
        from softphone.cli.messaging.compliance import verify_audit

        return await verify_audit(output, address, head, tuple(ca or ()))

    run_command(command, json=json)


@group.command()
def setup(
    writer: Annotated[
        str, typer.Option("--writer", metavar="ROLE", help="Who writes the table, and no more.")
    ],
    json: JsonOption = False,
) -> None:
    """Print SQL for the owner of a PostgreSQL database: a table that its writer only adds to."""

    async def command(output: CommandOutput) -> int:
        from softphone.cli.messaging.compliance import print_setup

        return await print_setup(output, writer)

    run_command(command, json=json)
