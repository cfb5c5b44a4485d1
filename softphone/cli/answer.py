"""`softphone answer`: wait for one call and answer it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from softphone.account import Account
from softphone.call import IncomingCall
from softphone.cli.call import follow_transfers
from softphone.cli.conversation import Conversation, Prepared, Wishes, prepare
from softphone.cli.face import Face, security_line
from softphone.errors import NoAnswer, SoftphoneError
from softphone.events import CallRefused, StreamStatistics
from softphone.phone import Phone
from softphone.security import SecurityShortfall

__all__ = ["answer_call"]


async def answer_call(
    face: Face,
    account: Path,
    wishes: Wishes,
    timeout: float | None,  # noqa: ASYNC109
) -> int:
    """Register (or listen), answer the first call, and sum up."""
    prepared = prepare(face, account, wishes)
    conversation = Conversation(face, prepared)
    config = prepared.config
    if prepared.srtp is not None:
        config = config.with_media(srtp=prepared.srtp)
    async with Phone(tap=face.ladder) as phone:
        try:
            line = await phone.register(config)
            _ready(face, line)
            return await _answer(face, line, prepared, conversation, timeout)
        except SoftphoneError as error:
            return conversation.failed(error, None, StreamStatistics())
        finally:
            conversation.close()


def _ready(face: Face, line: Account) -> None:
    if line.listening is not None:
        transport, host, port = line.listening
        place = f"{transport.value}:{host}:{port}"
        face.event("listening", f"{line.aor} listens at {place}", aor=line.aor, address=place)
    else:
        face.event("registered", f"{line.aor} is {line.registration.value}", aor=line.aor)


async def _first(line: Account) -> IncomingCall | CallRefused:
    """The first call that comes in, or that was refused before it did."""

    async def refused() -> IncomingCall | CallRefused:
        async for event in line.events():
            if isinstance(event, CallRefused):
                return event
        raise NoAnswer("the account was closed")

    async def called() -> IncomingCall | CallRefused:
        async for call in line.incoming():
            return call
        raise NoAnswer("the account was closed")

    tasks = [asyncio.ensure_future(refused()), asyncio.ensure_future(called())]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return done.pop().result()
    finally:
        for task in tasks:
            task.cancel()


async def _answer(
    face: Face,
    line: Account,
    prepared: Prepared,
    conversation: Conversation,
    timeout: float | None,  # noqa: ASYNC109
) -> int:
    try:
        first = await asyncio.wait_for(_first(line), timeout)
    except TimeoutError:
        raise NoAnswer(f"nobody called within {timeout:g} seconds", status=408) from None
    if isinstance(first, CallRefused):
        face.event("refused", f"refused {first.peer}: {first.explanation}", peer=first.peer)
        if first.shortfalls:
            raise SecurityShortfall(first.shortfalls)
        raise NoAnswer(first.explanation, status=first.status)
    face.event("incoming", f"{first.peer.uri} calls", peer=str(first.peer.uri))
    talk = asyncio.ensure_future(
        conversation.tell(first.events(), lambda _: follow_transfers(line))
    )
    try:
        first.ring()
        call = await first.answer()
        face.event("answered", security_line(call.security), security=call.security)
        await conversation.hold(call)
        call.hangup()
        ended = await call.ended()
        await talk
        return conversation.completed(call, ended)
    except SoftphoneError as error:
        return conversation.failed(error, first.security, first.statistics)
    finally:
        talk.cancel()
