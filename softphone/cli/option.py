"""Options that several commands have, and how a command is carried out."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from softphone.cli.face import Face

__all__ = ["FirstUseOption", "JsonOption", "PinOption", "StoreOption", "carry_out"]

JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON object a line; the last is the summary.")
]
StoreOption = Annotated[
    Path, typer.Option("--store", metavar="DIR", help="The folder of trust lists and identities.")
]
PinOption = Annotated[
    list[str] | None,
    typer.Option(
        "--pin",
        metavar="SHA256|FILE",
        help="Believe this signer: the certificate's SHA-256, or the certificate; may be repeated.",
    ),
]
FirstUseOption = Annotated[
    bool,
    typer.Option(
        "--trust-on-first-use", help="Believe the first list, whoever signed it, and say so."
    ),
]


def carry_out(
    command: Callable[[Face], Awaitable[int]], *, json: bool, ladder: bool = False
) -> None:
    """Run a command that ends with a summary, and leave with its exit code."""
    from softphone.cli.run import Options, run

    sys.exit(run(Options(json, ladder, {}), command))
