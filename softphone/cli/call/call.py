"""`softphone call`: place one call."""

from __future__ import annotations

import asyncio
from pathlib import Path

from softphone.account import Account
from softphone.cli.call.call_options import Wishes, prepare
from softphone.cli.call.call_session import Conversation
from softphone.cli.console.output import Face, security_line
from softphone.errors import ConfigurationError
from softphone.events import CallEnded

__all__ = ["place_call"]


async def place_call(face: Face, account: Path, target: str, wishes: Wishes) -> int:
    """Register, call, talk, hang up, and sum up."""
    prepared = await prepare(face, account, wishes)
    try:
        prepared.config.target_uri(target)
    except ConfigurationError:
        prepared.discard()
        raise
    conversation = Conversation(face, prepared)
    direct = prepared.config.server_uri is None

    async def connect(line: Account) -> CallEnded:
        outgoing = line.dial(target, video=prepared.video is not None)
        face.event("calling", f"calling {outgoing.peer.uri}", target=str(outgoing.peer.uri))
        busy = asyncio.ensure_future(conversation.attend(line, lambda _: False))
        try:
            async with outgoing:
                conversation.watch(outgoing, line)
                with face.waiting("waiting for an answer"):
                    call = await outgoing.answered(timeout=prepared.timeout)
                face.event(
                    "answered", security_line(call.security, direct=direct), security=call.security
                )
                return await conversation.hold(call)
        finally:
            busy.cancel()

    return await conversation.run(connect)
