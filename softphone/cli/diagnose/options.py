"""The commands `softphone doctor` and `softphone explain`: their options."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Annotated

import typer

from softphone.cli.console.options import (
    AccountOption,
    CommandOptions,
    JsonOption,
    TrustOptions,
    option_dataclass,
)


@option_dataclass
class _DoctorTrustOptions(TrustOptions):
    """Nobody is asked: a step has a time limit, and the command only examines."""

    no_prompt: bool = True


@option_dataclass
class DoctorOptions(CommandOptions):
    """Check an account step by step, and say what to fix."""

    carried_out_by = "softphone.cli.diagnose.doctor:examine_account"
    account: AccountOption
    trust: _DoctorTrustOptions = field(default_factory=_DoctorTrustOptions)
    json: JsonOption = False


@option_dataclass
class ExplainOptions(CommandOptions):
    """Say why a call was refused: which m-line, which crypto line, which rule."""

    carried_out_by = "softphone.cli.diagnose.explain:explain_file"
    file: Annotated[
        Path | None,
        typer.Argument(help="SIP messages, a ladder, two SDPs or JSON lines; - is stdin."),
    ] = None
    json: JsonOption = False
