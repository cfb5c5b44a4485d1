"""Options as a dataclass: typer sees each field as an option, with its type and default."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Annotated

import typer
from typer.testing import CliRunner

from softphone.cli.load.options import CapacityOptions, LoadOptions, takes_options


@dataclass(frozen=True, slots=True, kw_only=True)
class Few:
    """Two options."""

    calls: Annotated[int, typer.Option("--calls", help="How many.")] = 3
    names: Annotated[list[str] | None, typer.Option("--name", help="Who.")] = None


def test_a_command_gets_what_was_given_and_the_defaults():
    given = []
    application = typer.Typer()

    @application.command()
    @takes_options(Few)
    def command(options: Few) -> None:
        """Do it."""
        given.append(options)

    runner = CliRunner()
    assert runner.invoke(application, []).exit_code == 0
    assert runner.invoke(application, ["--calls", "5", "--name", "a", "--name", "b"]).exit_code == 0
    assert given == [Few(), Few(calls=5, names=["a", "b"])]
    assert runner.invoke(application, ["--calls", "many"]).exit_code == 2
    assert command.__doc__ == "Do it."


def test_a_search_takes_all_that_a_run_takes():
    run = set(inspect.signature(LoadOptions).parameters)
    search = set(inspect.signature(CapacityOptions).parameters)
    assert search - run == {"most", "precision", "confirm"}
    assert run < search
