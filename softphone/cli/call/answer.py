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
from softphone.errors import (
    CallFailed,
    NoAnswer,
    NotAcceptable,
    RegistrationRefused,
    SoftphoneError,
)
from softphone.events import CallEnded, CallRefused, RegistrationChanged, RegistrationState
from softphone.media.audio import WavSource
from softphone.security import SecurityShortfall


async def answer_call(output: CommandOutput, options: AnswerOptions) -> int:
    """Register (or listen), answer the first call, and print the summary."""
    early = None if options.early_media is None else WavSource(options.early_media)
    try:
        return await _answer_first(output, options, early)
    finally:
        if early is not None:
            early.close()


async def _answer_first(
    output: CommandOutput, options: AnswerOptions, early: WavSource | None
) -> int:
    prepared = await prepare_call(output, options)
    conversation = CallSession(output, prepared)

    async def connect(line: Account) -> CallEnded:
        first: asyncio.Future[IncomingCall] = asyncio.get_running_loop().create_future()
        attending = asyncio.ensure_future(
            conversation.handle_incoming_calls(line, lambda c: _take_first_call(first, c))
        )
        try:
            with output.waiting("waiting for a call"):
                incoming = await _first(output, line, first, prepared.timeout)
            _print_incoming(output, incoming)
            conversation.print_events_of(incoming, line)
            if early is None:
                incoming.ring()
            else:
                await _play_early(output, incoming, early)
            call = await incoming.answer(headers=prepared.headers)
            output.event("answered", security_line(call.security), security=call.security)
            return await conversation.run_until_over(call)
        finally:
            attending.cancel()

    return await conversation.run(connect)


async def _play_early(output: CommandOutput, incoming: IncomingCall, sound: WavSource) -> None:
    """Play a sound to the caller as early media; only ring where early media is not possible."""
    try:
        audio = await incoming.early_media()
    except NotAcceptable as error:
        if not incoming.unanswered:
            raise
        output.warn(f"--early-media: {error}")
        incoming.ring()
        return
    audio.play(sound)
    await audio.played()


def _take_first_call(first: asyncio.Future[IncomingCall], call: IncomingCall) -> bool:
    """Return whether a call is the first one, which this command answers."""
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
    """Return the first call; raise the error if there will be none: refused, or timed out."""
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
    """Return the error that makes further waiting pointless."""
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


def _print_incoming(output: CommandOutput, call: IncomingCall) -> None:
    """Print an incoming call: the caller, the source of that identity, and the dialed address."""
    identity, dialed = call.asserted_identity, call.dialed
    who = str(call.peer.uri)
    if identity.trusted and identity.name:
        who = f"{identity.name} ({who})"
    at = f", for {dialed}" if dialed.original is not None else ""
    output.event(
        "incoming",
        f"{who} calls{at}",
        peer=str(call.peer.uri),
        name=identity.name,
        assurance=identity.assurance,
        caller=str(call.caller.uri),
        called=str(call.called.uri),
        dialed=dialed.number,
        headers=list(call.headers),
    )
