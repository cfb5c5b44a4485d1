"""The commands of `softphone sso`: their options."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Annotated

import typer

from softphone.cli.console.options import (
    CertificateOptions,
    CommandOptions,
    JsonOption,
    option,
    option_dataclass,
)

SignOnOption = Annotated[
    Path, option("--account", "A file with an [oauth] table that has a client_id (TOML).", "FILE")
]


@option_dataclass
class CheckSignOnOptions(CommandOptions):
    """Ask a server whether single sign-on is on: CUCM, IM and Presence, Unity Connection."""

    carried_out_by = "softphone.cli.sso.sso:check_sign_on"
    examples = ("softphone sso check cucm1.example.com --ca ca.pem",)
    server: Annotated[str, typer.Argument(metavar="HOST[:PORT]", help="The port is 8443.")]
    ca: Annotated[
        list[str] | None, option("--ca", 'Trust this authority, or "system".', "FILE")
    ] = None
    timeout: Annotated[
        float, option("--timeout", "The time limit of the question.", "SECONDS", min=0.1, max=120)
    ] = 10.0
    trust: CertificateOptions = field(default_factory=CertificateOptions)
    json: JsonOption = False


@option_dataclass
class SignOnOptions(CommandOptions):
    """Sign in once, by the browser or with a code on another device, and store the tokens.

    The browser is the system's, or that of $BROWSER.
    """

    carried_out_by = "softphone.cli.sso.sso:sign_in"
    examples = (
        "softphone sso sign-in --account lab/sign-on-dave.toml",
        "softphone sso sign-in --account lab/sign-on-dave.toml --device-code",
    )
    account: SignOnOption
    device_code: Annotated[
        bool,
        option("--device-code", "Show a code to type in elsewhere, instead of a browser here."),
    ] = False
    timeout: Annotated[
        float,
        option("--timeout", "The time for the browser to come back.", "SECONDS", min=1, max=3600),
    ] = 300.0
    json: JsonOption = False


@option_dataclass
class SignOutOptions(CommandOptions):
    """Delete the stored tokens, and revoke them where the server offers that."""

    carried_out_by = "softphone.cli.sso.sso:sign_out"
    examples = ("softphone sso sign-out --account lab/sign-on-dave.toml",)
    account: SignOnOption
    json: JsonOption = False
