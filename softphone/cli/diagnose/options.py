"""The commands `softphone doctor`, `explain` and `devices`: their options."""

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
    """The certificate options without questions: steps have a time limit, nothing is accepted."""

    no_prompt: bool = True


@option_dataclass
class DoctorOptions(CommandOptions):
    """Check an account step by step, and say what to fix."""

    carried_out_by = "softphone.cli.diagnose.doctor:examine_account"
    examples = ("softphone doctor --account lab/alice.toml",)
    account: AccountOption
    trust: _DoctorTrustOptions = field(default_factory=_DoctorTrustOptions)
    json: JsonOption = False


@option_dataclass
class ExplainOptions(CommandOptions):
    """Say why a call was refused: which m-line, which crypto line, which rule."""

    carried_out_by = "softphone.cli.diagnose.explain:explain_file"
    examples = ("softphone explain refused.txt",)
    file: Annotated[
        Path | None,
        typer.Argument(help="SIP messages, a ladder, two SDPs or JSON lines; - is stdin."),
    ] = None
    json: JsonOption = False


@option_dataclass
class DevicesOptions(CommandOptions):
    """List the sound cards, by the names that --device takes."""

    carried_out_by = "softphone.cli.diagnose.devices:show_devices"
    examples = ("softphone devices",)
    json: JsonOption = False
