"""`softphone contacts`: the directories."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from softphone.cli.console.options import JsonOption, run_command

if TYPE_CHECKING:
    from softphone.cli.console.output import CommandOutput

__all__ = ["group"]

group = typer.Typer(
    help="Search the directories: LDAPS, CUCM's UDS.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@group.callback()
def _root() -> None:
    """Search the directories: LDAPS, CUCM's UDS."""


@group.command()
def search(
    word: Annotated[str, typer.Argument(help="The beginning of names, or a number.")],
    config: Annotated[
        Path,
        typer.Option(
            "--config",
            "--account",
            metavar="FILE",
            help="The file with the [directory.NAME] tables; an account file may have them.",
        ),
    ],
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, max=1000, help="At most so many people.")
    ] = 20,
    json: JsonOption = False,
) -> None:
    """Search all directories of a file; each person is shown once."""

    async def command(output: CommandOutput) -> int:
        from softphone.cli.messaging.contacts import search_contacts

        return await search_contacts(output, word, config, limit)

    run_command(command, json=json)
