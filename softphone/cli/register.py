"""`softphone register`: register and stay so."""

from __future__ import annotations

import asyncio
from pathlib import Path

from softphone.account import Account, load_account
from softphone.cli.face import Face
from softphone.cli.run import DONE
from softphone.events import FlowLost, FlowRestored, MessageWaiting, RegistrationChanged
from softphone.phone import Phone

__all__ = ["stay_registered"]


async def stay_registered(face: Face, account: Path, seconds: float | None) -> int:
    """Register, tell of every change, and leave after `seconds` (None: when interrupted)."""
    file = load_account(account)
    for warning in file.warnings:
        face.warn(warning)
    async with Phone(tap=face.ladder) as phone:
        line = await phone.register(file.config)
        talk = asyncio.ensure_future(_tell(face, line))
        try:
            if seconds is None:
                await asyncio.Event().wait()
            await asyncio.sleep(seconds or 0.0)
        finally:
            await phone.close(line)
            await talk
    face.summary("done", result="completed", status=200, reason="")
    return DONE


async def _tell(face: Face, line: Account) -> None:
    async for event in line.events():
        if isinstance(event, RegistrationChanged):
            sentence = f"{line.aor}: {event.state.value}"
            if event.status:
                sentence += f" ({event.status} {event.reason})"
            if event.expires:
                sentence += f", for {event.expires:.0f} s"
            face.event(
                "registration",
                sentence,
                state=event.state,
                status=event.status,
                reason=event.reason,
                expires=event.expires,
            )
        elif isinstance(event, FlowLost):
            sentence = f"connection lost ({event.reason}); trying again in {event.retry_in:.1f} s"
            face.event("flow_lost", sentence, reason=event.reason, retry_in=event.retry_in)
        elif isinstance(event, FlowRestored):
            face.event("flow_restored", "connected again")
        elif isinstance(event, MessageWaiting):
            face.event("messages", f"{event.new} new messages", new=event.new, old=event.old)
