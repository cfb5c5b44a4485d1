"""Options that several commands have, and how a command is carried out."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from softphone.cli.console.certificate_prompt import TrustOptions
    from softphone.cli.console.output import CommandOutput

__all__ = [
    "AcceptOption",
    "AskPassphraseOption",
    "FileServerOption",
    "FilesCaOption",
    "FirstUseOption",
    "JsonOption",
    "KeepOption",
    "KeyringOption",
    "ModelOption",
    "NoPromptOption",
    "PassphraseFdOption",
    "PatienceOption",
    "PinOption",
    "StoreOption",
    "run_command",
    "trust_options_of",
]

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
FileServerOption = Annotated[
    list[str],
    typer.Option(
        "--server",
        metavar="HOST|URL",
        help="HOST, tftp://H:P, http://H:P or https://H:P; may be repeated, in order.",
    ),
]
FilesCaOption = Annotated[
    list[Path] | None,
    typer.Option("--ca", metavar="FILE", help="Believe this authority for https servers."),
]
ModelOption = Annotated[
    int | None,
    typer.Option(
        "--model", min=1, metavar="N", help="The device's product number, such as 503 for a CSF."
    ),
]
PatienceOption = Annotated[
    float,
    typer.Option(
        "--patience",
        min=0,
        metavar="SECONDS",
        help="How long the server may take to encrypt for a new certificate.",
    ),
]
FirstUseOption = Annotated[
    bool,
    typer.Option(
        "--trust-on-first-use", help="Believe the first list, whoever signed it, and say so."
    ),
]
PassphraseFdOption = Annotated[
    int | None,
    typer.Option(
        "--passphrase-fd", metavar="N", help="Read the key's passphrase from this descriptor."
    ),
]
KeyringOption = Annotated[
    str | None,
    typer.Option(
        "--keyring", metavar="NAME", help="Take the key's passphrase from the user's keyring."
    ),
]
AskPassphraseOption = Annotated[
    bool, typer.Option("--ask-passphrase", help="Ask for the key's passphrase.")
]
AcceptOption = Annotated[
    str | None,
    typer.Option(
        "--accept-fingerprint",
        metavar="SHA256",
        help="Accept the server's unknown certificate if this is its fingerprint, and keep it.",
    ),
]
NoPromptOption = Annotated[
    bool, typer.Option("--no-prompt", help="Never ask: an unknown certificate is refused.")
]
KeepOption = Annotated[
    Path | None,
    typer.Option("--store", metavar="DIR", help="Where accepted certificates are kept."),
]


def trust_options_of(
    accept: str | None,
    no_prompt: bool,
    store: Path | None,
    passphrase_fd: int | None,
    keyring: str | None,
    *,
    ask: bool = False,
) -> TrustOptions:
    """What was said about unknown certificates and locked keys, as the commands take it."""
    from softphone.cli.console.certificate_prompt import TrustOptions
    from softphone.cli.console.passphrase import PassphraseSource

    return TrustOptions(accept, not no_prompt, store, PassphraseSource(passphrase_fd, keyring, ask))


def run_command(
    command: Callable[[CommandOutput], Awaitable[int]], *, json: bool, ladder: bool = False
) -> None:
    """Run a command that ends with a summary, and leave with its exit code."""
    from softphone.cli.console.runner import RunOptions, run

    sys.exit(run(RunOptions(json, ladder, {}), command))
