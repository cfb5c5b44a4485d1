"""`softphone call`: place one call."""

from __future__ import annotations

import asyncio

from softphone.account import Account
from softphone.call import OutgoingCall
from softphone.cli.call.call_options import PreparedCall, prepare_call
from softphone.cli.call.call_session import CallSession
from softphone.cli.call.options import CallOptions
from softphone.cli.console.output import CommandOutput, security_line
from softphone.errors import ConfigurationError, NotFound
from softphone.events import CallEnded


async def place_call(output: CommandOutput, options: CallOptions) -> int:
    """Register, call, talk, hang up, and print the summary."""
    return await run_call(output, options, await prepare_call(output, options))


async def run_call(output: CommandOutput, options: CallOptions, prepared: PreparedCall) -> int:
    """Place a prepared call, as `place_call` does."""
    try:
        prepared.config.target_uri(options.target)
    except ConfigurationError:
        prepared.discard()
        raise
    conversation = CallSession(output, prepared)

    async def connect(line: Account) -> CallEnded:
        if not options.pickup:
            video = prepared.video is not None
            outgoing = line.dial(options.target, video=video, headers=prepared.headers)
            return await talk(line, outgoing)
        # A server may allow a pickup only by those who watch the call.
        async with line.watch(options.target) as watch:
            dialog = await watch.ringing()
            if dialog is None and prepared.config.pickup is None:
                raise NotFound(f"no call rings at {watch.user}", status=404, reason="Not Found")
            return await talk(line, line.pick_up(options.target, dialog))

    async def talk(line: Account, outgoing: OutgoingCall) -> CallEnded:
        output.event("calling", f"calling {outgoing.peer.uri}", target=str(outgoing.peer.uri))
        busy = asyncio.ensure_future(conversation.handle_incoming_calls(line, lambda _: False))
        try:
            async with outgoing:
                conversation.print_events_of(outgoing, line)
                with output.waiting("waiting for an answer"):
                    call = await outgoing.answered(timeout=prepared.timeout)
                output.event(
                    "answered",
                    security_line(call.security),
                    security=call.security,
                    headers=list(call.answer_headers),
                )
                return await conversation.run_until_over(call)
        finally:
            busy.cancel()

    return await conversation.run(connect)
