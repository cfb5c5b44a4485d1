"""The commands of `softphone load`; what carries them out is imported when used."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import typer

from softphone.cli.load.options import CapacityOptions, LoadOptions, takes

if TYPE_CHECKING:
    from softphone.cli.console.output import Face

__all__ = ["group"]

group = typer.Typer(
    name="load",
    help="Many calls at once: measured, judged, reported.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

EXIT_CODES = (
    "Exit codes: 0 valid and as expected, 1 a verdict was not met or the run was invalid, "
    "2 wrong usage and nothing sent, 3 the server is not who it should be, 130 interrupted."
)


def _carry_out(command: Callable[[Face], Awaitable[int]], *, json: bool, **blank: object) -> None:
    """Run a command; however it ends, the fields of its summary are there, and those of `blank`."""
    import asyncio

    from softphone.cli.console.runner import Options, run
    from softphone.errors import SoftphoneError
    from softphone.load import BLANK_LOAD_SUMMARY, NO_RESULT

    summary = {**BLANK_LOAD_SUMMARY, **blank}

    async def told(face: Face) -> int:
        try:
            return await command(face)
        except SoftphoneError as error:
            summary["invalid_because"] = [f"{NO_RESULT}: {error}"]
            raise
        except asyncio.CancelledError:
            summary["interrupted"] = True
            raise

    sys.exit(run(Options(json, summary=summary), told))


@group.command(epilog=EXIT_CODES)
@takes(LoadOptions)
def run(options: LoadOptions) -> None:
    """Run a load: so many calls, so many a second, for so long."""

    async def command(face: Face) -> int:
        from softphone.cli.load.load import run_load

        return await run_load(face, options)

    _carry_out(command, json=options.json)


@group.command("find-capacity", epilog=EXIT_CODES)
@takes(CapacityOptions)
def find_capacity(options: CapacityOptions) -> None:
    """Find the most calls that a target holds within the verdicts."""

    from softphone.cli.load.load import blank_capacity, find

    async def command(face: Face) -> int:
        return await find(face, options)

    _carry_out(command, json=options.json, capacity=blank_capacity())
