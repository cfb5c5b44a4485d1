"""What a command says first: that its account is registered, or listens."""

from __future__ import annotations

from softphone.account import Account
from softphone.cli.console.output import CommandOutput


def show_ready(output: CommandOutput, line: Account) -> None:
    """Tell that calls can come: the account listens, or is registered."""
    if line.listening is not None:
        transport, host, port = line.listening
        place = f"{transport.value}:{host}:{port}"
        output.event("listening", f"{line.aor} listens at {place}", aor=line.aor, address=place)
    elif line.config.registrar is not None:
        output.event("registered", f"{line.aor} is registered", aor=line.aor)
