"""The commands and their options; each is carried out by a file of its own, imported when used."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from softphone._version import __version__
from softphone.cli.run import Options, run

__all__ = ["application", "main"]

application = typer.Typer(
    name="softphone",
    help="A secure SIP and SRTP softphone engine.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

AccountOption = Annotated[
    Path, typer.Option("--account", metavar="FILE", help="The account file (TOML).")
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON object a line; the last is the summary.")
]
PlayOption = Annotated[
    Path | None, typer.Option("--play", metavar="WAV", help="Play this file to the far end.")
]
RecordOption = Annotated[
    Path | None, typer.Option("--record", metavar="WAV", help="Record the far end to a new file.")
]
DigitsOption = Annotated[
    str | None,
    typer.Option("--digits", help="Send these digits once the call is up: 0-9 * # A-D, ',' waits."),
]
DurationOption = Annotated[
    float | None,
    typer.Option("--duration", metavar="SECONDS", min=0.0, help="Hang up after this long."),
]
SrtpOption = Annotated[
    str | None,
    typer.Option("--srtp", metavar="MODE", help="required, optional or off, for this call."),
]
LadderOption = Annotated[
    bool, typer.Option("--ladder", help="Print the SIP messages as a ladder, secrets masked.")
]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"softphone {__version__}")
        raise typer.Exit


@application.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A secure SIP and SRTP softphone engine."""


@application.command()
def call(
    target: Annotated[str, typer.Argument(help="A SIP URI, or a user of the account's domain.")],
    account: AccountOption,
    play: PlayOption = None,
    record: RecordOption = None,
    digits: DigitsOption = None,
    duration: DurationOption = None,
    srtp: SrtpOption = None,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", help="Wait this long for an answer.")
    ] = 60.0,
    json: JsonOption = False,
    ladder: LadderOption = False,
) -> None:
    """Call somebody: play, record, send digits; hang up at the end of --play or --duration."""
    from softphone.cli.call import place_call
    from softphone.cli.conversation import Wishes

    wishes = Wishes(play, record, digits, duration, srtp)
    options = Options(json, ladder)
    sys.exit(run(options, lambda face: place_call(face, account, target, wishes, timeout)))


@application.command()
def answer(
    account: AccountOption,
    play: PlayOption = None,
    record: RecordOption = None,
    digits: DigitsOption = None,
    duration: DurationOption = None,
    srtp: SrtpOption = None,
    timeout: Annotated[
        float | None,
        typer.Option("--timeout", metavar="SECONDS", help="Wait this long for a call."),
    ] = None,
    json: JsonOption = False,
    ladder: LadderOption = False,
) -> None:
    """Wait for one call and answer it; the exit code is that of the call."""
    from softphone.cli.answer import answer_call
    from softphone.cli.conversation import Wishes

    wishes = Wishes(play, record, digits, duration, srtp)
    options = Options(json, ladder)
    sys.exit(run(options, lambda face: answer_call(face, account, wishes, timeout)))


@application.command()
def register(
    account: AccountOption,
    duration: Annotated[
        float | None,
        typer.Option("--duration", metavar="SECONDS", min=0.0, help="Leave after this long."),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Register, report, and leave.")] = False,
    json: JsonOption = False,
    ladder: LadderOption = False,
) -> None:
    """Register and stay registered until interrupted."""
    from softphone.cli.register import stay_registered

    wait = 0.0 if once else duration
    sys.exit(run(Options(json, ladder), lambda face: stay_registered(face, account, wait)))


@application.command()
def lab(
    folder: Annotated[
        Path | None,
        typer.Option("--dir", metavar="DIR", help="Where certificates and account files go."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Run a CUCM-like server on loopback until interrupted."""
    from softphone.cli.lab import run_lab

    sys.exit(run(Options(json, False), lambda face: run_lab(face, folder)))


@application.command()
def demo(
    ladder: LadderOption = False,
    json: JsonOption = False,
) -> None:
    """See two phones call each other securely, and the lock go when a third joins in clear."""
    from softphone.cli.demo import run_demo

    sys.exit(run(Options(json, ladder), run_demo))


@application.command()
def doctor(account: AccountOption, json: JsonOption = False) -> None:
    """Check an account step by step, and say what to fix."""
    from softphone.cli.doctor import examine_account

    sys.exit(run(Options(json, False), lambda face: examine_account(face, account)))


def main() -> None:
    """The entry point of the `softphone` command."""
    application()
