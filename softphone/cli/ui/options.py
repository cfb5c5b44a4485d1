"""The command `softphone ui`: its options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from softphone.cli.console.options import option, option_dataclass
from softphone.cli.discovery.options import UserSignInOptions


@option_dataclass
class UiOptions(UserSignInOptions):
    """Serve a page for a person: calls, lock and why, contacts, chat, voicemail, certificates.

    For USER@DOMAIN it signs the user in, as `softphone sign-in` does and by the same options, and
    shows each step and the state of each service.

    The page is on loopback. The address that is printed signs one browser in; a second one is let
    in by a yes on this terminal only. Sound is that of this machine's sound card.
    """

    carried_out_by = "softphone.cli.ui.ui:serve_ui"
    examples = (
        "softphone ui alice@example.com --ca ca.pem",
        "softphone ui lab/alice.toml lab/bob.toml --port 8090 --code page.url --device none",
    )
    account: str = ""
    """The user's mail address, where the only one of `accounts` is such."""
    accounts: Annotated[
        list[Path],
        typer.Argument(
            help="A user's mail address, or account files (TOML). Directories, chat and voicemail"
            " are those of the user, or of the first file that has them.",
            metavar="USER@DOMAIN|FILE...",
        ),
    ]
    port: Annotated[
        int, option("--port", "The port on loopback; 0 is a free one.", "N", min=0, max=65535)
    ] = 0
    code: Annotated[
        Path | None,
        option("--code", "Write the address that signs one browser in to this file.", "FILE"),
    ] = None
    sound: Annotated[
        str,
        option(
            "--device",
            'The sound card, "default" for the system\'s, "none" for no sound; see '
            "`softphone devices`.",
            "NAME",
        ),
    ] = "default"
    device: Annotated[
        str | None,
        option("--user-device", "The user's device to register, if not the CSF.", "NAME"),
    ] = None
