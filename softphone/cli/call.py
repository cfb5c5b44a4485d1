"""`softphone call`: place one call."""

from __future__ import annotations

import asyncio
from pathlib import Path

from softphone.account import Account
from softphone.call import Call, OutgoingCall
from softphone.cli.conversation import Conversation, Prepared, Wishes, prepare
from softphone.cli.face import Face, security_line
from softphone.errors import SoftphoneError
from softphone.events import StreamStatistics
from softphone.phone import Phone
from softphone.security import SecurityState

__all__ = ["follow_transfers", "place_call"]


async def place_call(
    face: Face,
    account: Path,
    target: str,
    wishes: Wishes,
    timeout: float,  # noqa: ASYNC109
) -> int:
    """Register, call, talk, hang up, and sum up."""
    prepared = prepare(face, account, wishes)
    conversation = Conversation(face, prepared)
    async with Phone(tap=face.ladder) as phone:
        try:
            line = await phone.register(prepared.config)
            face.event("registered", f"{line.aor} is {line.registration.value}", aor=line.aor)
            return await _call(face, line, target, prepared, conversation, timeout)
        except SoftphoneError as error:
            return conversation.failed(error, None, StreamStatistics())
        finally:
            conversation.close()


async def _call(
    face: Face,
    line: Account,
    target: str,
    prepared: Prepared,
    conversation: Conversation,
    timeout: float,  # noqa: ASYNC109
) -> int:
    outgoing = line.dial(target, srtp=prepared.srtp)
    face.event("calling", f"calling {outgoing.peer.uri}", target=str(outgoing.peer.uri))
    async with outgoing:
        talk = asyncio.ensure_future(
            conversation.tell(outgoing.events(), lambda _: follow_transfers(line))
        )
        try:
            call = await outgoing.answered(timeout=timeout)
            face.event("answered", security_line(call.security), security=call.security)
            await conversation.hold(call)
            call.hangup()
            ended = await call.ended()
            await talk
            return conversation.completed(call, ended)
        except SoftphoneError as error:
            await talk
            return conversation.failed(error, _security(outgoing), outgoing.statistics)
        finally:
            talk.cancel()


def _security(outgoing: OutgoingCall) -> SecurityState | None:
    return outgoing.security if outgoing.id else None


def follow_transfers(line: Account) -> None:
    """Follow the transfer that a call of ours was asked for."""
    for call in line.calls:
        if call.transfer_requested:
            line.spawn(_follow(line, call))


async def _follow(line: Account, call: Call) -> None:
    async with line.accept_transfer(call) as outgoing:
        followed = await outgoing.answered(timeout=60)
        await followed.ended()
