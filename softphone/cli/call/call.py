"""`softphone call`: place one call."""

from __future__ import annotations

import asyncio

from softphone.account import Account
from softphone.cli.call.call_options import prepare_call
from softphone.cli.call.call_session import CallSession
from softphone.cli.call.options import CallOptions
from softphone.cli.console.output import CommandOutput, security_line
from softphone.errors import ConfigurationError
from softphone.events import CallEnded


async def place_call(output: CommandOutput, options: CallOptions) -> int:
    """Register, call, talk, hang up, and sum up."""
    prepared = await prepare_call(output, options)
    try:
        prepared.config.target_uri(options.target)
    except ConfigurationError:
        prepared.discard()
        raise
    conversation = CallSession(output, prepared)
    direct = prepared.config.server_uri is None

    async def connect(line: Account) -> CallEnded:
        outgoing = line.dial(options.target, video=prepared.video is not None)
        output.event("calling", f"calling {outgoing.peer.uri}", target=str(outgoing.peer.uri))
        busy = asyncio.ensure_future(conversation.handle_incoming_calls(line, lambda _: False))
        try:
            async with outgoing:
                conversation.print_events_of(outgoing, line)
                with output.waiting("waiting for an answer"):
                    call = await outgoing.answered(timeout=prepared.timeout)
                output.event(
                    "answered", security_line(call.security, direct=direct), security=call.security
                )
                return await conversation.run_until_over(call)
        finally:
            busy.cancel()

    return await conversation.run(connect)
