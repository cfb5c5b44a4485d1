"""The command `softphone ui`: its options."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Annotated

import typer

from softphone.cli.console.options import (
    CommandOptions,
    JsonOption,
    TrustOptions,
    option,
    option_dataclass,
)


@option_dataclass
class UiOptions(CommandOptions):
    """Serve a page for a person: calls, lock and why, contacts, chat, voicemail, certificates.

    The page is on loopback. The address that is printed signs one browser in; a second one is let
    in by a yes on this terminal only. Sound is that of this machine's sound card.
    """

    carried_out_by = "softphone.cli.ui.ui:serve_ui"
    examples = (
        "softphone ui lab/alice.toml",
        "softphone ui lab/alice.toml lab/bob.toml --port 8090 --code page.url --device none",
    )
    accounts: Annotated[
        list[Path],
        typer.Argument(
            help="Account files (TOML). Directories, chat and voicemail are those of the first"
            " file that has them.",
            metavar="ACCOUNT...",
        ),
    ]
    port: Annotated[
        int, option("--port", "The port on loopback; 0 is a free one.", "N", min=0, max=65535)
    ] = 0
    code: Annotated[
        Path | None,
        option("--code", "Write the address that signs one browser in to this file.", "FILE"),
    ] = None
    device: Annotated[
        str,
        option(
            "--device",
            'The sound card, "default" for the system\'s, "none" for no sound; see '
            "`softphone devices`.",
            "NAME",
        ),
    ] = "default"
    trust: TrustOptions = field(default_factory=TrustOptions)
    json: JsonOption = False
