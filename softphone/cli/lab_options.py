"""The command `softphone lab`: its options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from softphone.cli.console.options import CommandOptions, JsonOption, option, option_dataclass


@option_dataclass
class LabOptions(CommandOptions):
    """Run a CUCM-like server on loopback until interrupted."""

    carried_out_by = "softphone.cli.lab:run_lab"
    examples = ("softphone lab --dir lab",)
    folder: Annotated[
        Path | None, option("--dir", "Where certificates and account files go.", "DIR")
    ] = None
    capf: Annotated[
        list[str] | None,
        option(
            "--capf",
            "Let a device enroll by string, string:N, null-string, lsc or mic; repeated for one "
            "device: one after the other.",
            "DEVICE=WAY",
        ),
    ] = None
    users: Annotated[
        int, option("--users", "So many more users, load00001 and on, each with a password in DIR.")
    ] = 0
    register_rate: Annotated[
        int,
        option("--register-rate", "New connections a second that may register; the others wait."),
    ] = 100
    json: JsonOption = False

    def blank_summary(self) -> None:
        """None: the lab prints no summary."""
        return None
