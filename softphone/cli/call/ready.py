"""Prints that the account of a command is registered, or listens."""

from __future__ import annotations

from softphone.account import Account
from softphone.cli.console.output import CommandOutput


def show_ready(output: CommandOutput, line: Account) -> None:
    """Print that the account listens or is registered: calls can come in."""
    if line.listening is not None:
        transport, host, port = line.listening
        place = f"{transport.value}:{host}:{port}"
        output.event("listening", f"{line.aor} listens at {place}", aor=line.aor, address=place)
    elif line.config.registrar is not None:
        output.event("registered", f"{line.aor} is registered", aor=line.aor)
