"""`softphone answer`: wait for one call and answer it."""

from __future__ import annotations

import asyncio
from typing import Any

from softphone.account import Account
from softphone.call import IncomingCall
from softphone.cli.call.call_options import prepare_call
from softphone.cli.call.call_session import CallSession
from softphone.cli.call.options import AnswerOptions
from softphone.cli.console.output import CommandOutput, security_line
from softphone.errors import CallFailed, NoAnswer, RegistrationRefused, SoftphoneError
from softphone.events import CallEnded, CallRefused, RegistrationChanged, RegistrationState
from softphone.security import SecurityShortfall


async def answer_call(output: CommandOutput, options: AnswerOptions) -> int:
    """Register (or listen), answer the first call, and sum up."""
    prepared = await prepare_call(output, options)
    conversation = CallSession(output, prepared)
    direct = prepared.config.server_uri is None

    async def connect(line: Account) -> CallEnded:
        first: asyncio.Future[IncomingCall] = asyncio.get_running_loop().create_future()
        attending = asyncio.ensure_future(
            conversation.handle_incoming_calls(line, lambda c: _take_first_call(first, c))
        )
        try:
            with output.waiting("waiting for a call"):
                incoming = await _first(output, line, first, prepared.timeout)
            output.event("incoming", f"{incoming.peer.uri} calls", peer=str(incoming.peer.uri))
            conversation.print_events_of(incoming, line)
            incoming.ring()
            call = await incoming.answer()
            line_text = security_line(call.security, direct=direct)
            output.event("answered", line_text, security=call.security)
            return await conversation.run_until_over(call)
        finally:
            attending.cancel()

    return await conversation.run(connect)


def _take_first_call(first: asyncio.Future[IncomingCall], call: IncomingCall) -> bool:
    """Whether a call is the first one, which is ours."""
    if first.done():
        return False
    first.set_result(call)
    return True


async def _first(
    output: CommandOutput,
    line: Account,
    first: asyncio.Future[IncomingCall],
    timeout: float | None,  # noqa: ASYNC109
) -> IncomingCall:
    """The first call; raises why there will be none: refused before it came in, or too late."""
    trouble = asyncio.ensure_future(_trouble(output, line))
    waiting: set[asyncio.Future[Any]] = {first, trouble}
    try:
        done, _ = await asyncio.wait(waiting, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if first in done:
            return first.result()
        if trouble in done:
            raise trouble.result()
        raise NoAnswer(f"nobody called within {timeout:g} seconds", status=408)
    finally:
        trouble.cancel()


async def _trouble(output: CommandOutput, line: Account) -> SoftphoneError:
    """Wait for what makes waiting vain, and give it as an error."""
    async for event in line.events():
        if isinstance(event, CallRefused):
            sentence = f"refused a call of {event.peer}: {event.explanation}"
            output.event("refused", sentence, peer=event.peer, status=event.status)
            if event.shortfalls:
                return SecurityShortfall(event.shortfalls)
            return CallFailed(event.explanation, status=event.status)
        if isinstance(event, RegistrationChanged) and event.state is RegistrationState.FAILED:
            message = f"the registration was lost: {event.status} {event.reason}".rstrip()
            return RegistrationRefused(message, status=event.status, reason=event.reason)
    return NoAnswer("the account was closed")
