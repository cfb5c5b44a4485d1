"""The commands of `softphone load`; what carries them out is imported when used."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import typer

from softphone.cli.load.options import CapacityOptions, LoadOptions, takes_options

if TYPE_CHECKING:
    from softphone.cli.console.output import CommandOutput

__all__ = ["group"]

group = typer.Typer(
    name="load",
    help="Many calls at once: measured, judged, reported.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

EXIT_CODES = (
    "Exit codes: 0 valid and as expected, 1 a verdict was not met, 2 wrong usage and nothing sent, "
    "3 the server is not who it should be, 4 the run was invalid and says nothing of the server, "
    "130 interrupted."
)


def _carry_out(
    command: Callable[[CommandOutput], Awaitable[int]], *, json: bool, **blank: object
) -> None:
    """Run a command; however it ends, the fields of its summary are there, and those of `blank`."""
    import asyncio

    from softphone.cli.console.runner import RunOptions, run
    from softphone.errors import SoftphoneError
    from softphone.load import BLANK_LOAD_SUMMARY, NO_RESULT

    summary = {**BLANK_LOAD_SUMMARY, **blank}

    async def run_and_note_failure(output: CommandOutput) -> int:
        try:
            return await command(output)
        except SoftphoneError as error:
            summary["invalid_because"] = [f"{NO_RESULT}: {error}"]
            raise
        except asyncio.CancelledError:
            summary["interrupted"] = True
            raise

    sys.exit(run(RunOptions(json, summary=summary), run_and_note_failure))


@group.command(epilog=EXIT_CODES)
@takes_options(LoadOptions)
def run(options: LoadOptions) -> None:
    """Run a load: so many calls, so many a second, for so long."""

    async def command(output: CommandOutput) -> int:
        from softphone.cli.load.load import run_load

        return await run_load(output, options)

    _carry_out(command, json=options.json)


@group.command("find-capacity", epilog=EXIT_CODES)
@takes_options(CapacityOptions)
def find_capacity(options: CapacityOptions) -> None:
    """Find the most calls that a target holds within the verdicts."""

    from softphone.cli.load.load import blank_capacity, run_capacity_search

    async def command(output: CommandOutput) -> int:
        return await run_capacity_search(output, options)

    _carry_out(command, json=options.json, capacity=blank_capacity())
