"""Registers the account of a command in time, and prints that it is registered, or listens."""

from __future__ import annotations

import asyncio

from softphone.account import Account
from softphone.cli.console.output import CommandOutput
from softphone.config import AccountConfig
from softphone.errors import RegistrationTimeout
from softphone.phone import Phone
from softphone.sans_io import Transport


async def register_within(
    output: CommandOutput, phone: Phone, config: AccountConfig, seconds: float | None
) -> Account:
    """Register within `--timeout`; SIP itself would wait longer over UDP (timer F).

    None leaves it to SIP.  Raises RegistrationTimeout, and what `Phone.register` does.
    """
    registering = asyncio.ensure_future(phone.register(config))
    try:
        if (await asyncio.wait({registering}, timeout=seconds))[0]:
            return registering.result()
        # Unregistering takes a while, too: the pending request may still be granted.
        output.warn(f"{config.server_uri} has not answered within {seconds:g} s: leaving")
    finally:
        registering.cancel()
        await asyncio.gather(registering, return_exceptions=True)
    hint = {
        Transport.TLS: ", and its port for TLS?",
        Transport.UDP: " and port, and do firewalls let UDP through?",
    }.get(config.transport or Transport.TCP, " and port?")
    raise RegistrationTimeout(
        f"{config.server_uri} was not reached within {seconds:g} s (--timeout):"
        f" is that the server's address{hint}",
        status=408,
    )


def show_ready(output: CommandOutput, line: Account) -> None:
    """Print that the account listens or is registered: calls can come in."""
    if line.listening is not None:
        transport, host, port = line.listening
        place = f"{transport.value}:{host}:{port}"
        output.event("listening", f"{line.aor} listens at {place}", aor=line.aor, address=place)
    elif line.config.registrar is not None:
        output.event("registered", f"{line.aor} is registered", aor=line.aor)
