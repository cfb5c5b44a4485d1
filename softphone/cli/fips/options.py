"""The commands of `softphone fips`: their options; what they do is in `softphone.cli.fips.fips`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from softphone.cli.console.options import CommandOptions, JsonOption, option, option_dataclass


def choose_mode(wanted: bool | None) -> None:
    """Apply the option `--fips` or `--no-fips`, which overrides every other setting."""
    if wanted is not None:
        from softphone.trust.fips import set_bootstrap_setting

        set_bootstrap_setting(wanted, "--fips" if wanted else "--no-fips")


@option_dataclass
class FipsSetupOptions(CommandOptions):
    """Set FIPS mode up for this user, and test it."""

    carried_out_by = "softphone.cli.fips.fips:set_up"
    examples = ("softphone fips setup",)
    any_mode = True
    module: Annotated[
        Path | None, option("--module", "The provider; else the system's own.", "FILE")
    ] = None
    folder: Annotated[
        Path | None, option("--dir", "Where to; else SOFTPHONE_FIPS_DIR, or ~.", "DIR")
    ] = None
    lenient: Annotated[
        bool,
        option("--lenient", "Without the strictest checks, for TLS 1.2 servers without RFC 7627."),
    ] = False
    json: JsonOption = False


@option_dataclass
class FipsStatusOptions(CommandOptions):
    """Show the mode, what decided it, the provider, and the self-check of each library."""

    carried_out_by = "softphone.cli.fips.fips:show_status"
    examples = ("softphone fips status",)
    any_mode = True
    json: JsonOption = False


@option_dataclass
class FipsRunOptions(CommandOptions):
    """Run another program in FIPS mode."""

    carried_out_by = "softphone.cli.fips.fips:run_program"
    examples = ("softphone fips run -- python app.py",)
    any_mode = True
    command: Annotated[list[str], typer.Argument(help="A program that uses softphone.")]
