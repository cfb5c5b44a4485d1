"""Calls between accounts of a lab: dialing, answering, listening, waiting for a change."""

from __future__ import annotations

import asyncio
import math

from softphone.config import load_account
from softphone.media.audio import PcmRing, tone_level
from tests.support.waiting import PATIENCE
from tests.support.waiting import until as eventually

__all__ = ["account_of", "answer_one", "connect", "eventually", "level_heard", "next_call", "until"]

PLAIN_DBM0 = -28.0
"""A tone that is this loud is there without gaps."""


async def account_of(lab, phone, name, **media):
    """A registered account of the lab."""
    config = load_account(lab.accounts[name]).config
    return await phone.register(config.with_media(**media) if media else config)


async def next_call(account):
    """The next call that comes in, not answered yet."""

    async def wait():
        async for incoming in account.incoming():
            return incoming
        raise AssertionError("the account was closed")

    return await asyncio.wait_for(wait(), PATIENCE)


async def answer_one(account):
    """Answer the next call."""
    incoming = await next_call(account)
    incoming.ring()
    return await incoming.answer()


async def connect(caller, callee, target, **options):
    """Both ends of a call that is up."""
    answering = asyncio.create_task(answer_one(callee))
    try:
        call = await caller.dial(target, **options).answered(timeout=PATIENCE)
        return call, await asyncio.wait_for(answering, PATIENCE)
    finally:
        answering.cancel()


async def level_heard(call, frequency):
    """How loud a tone is in what `call` hears now, in dBm0: the loudest of three windows.

    Where the tone is there, a window that a busy machine tore gaps into is followed by another;
    where it is not, it has to be absent from all of them.
    """
    ring = PcmRing(8000, seconds=1.0)
    call.audio.record(ring)
    await ring.read_exactly(1600)
    heard = -math.inf
    for _ in range(3):
        heard = max(heard, tone_level(await ring.read_exactly(2400), frequency, 8000))
        if heard > PLAIN_DBM0:
            break
    call.audio.record(None)
    return heard


async def until(call, condition):
    """Wait until the security of a call is as wanted."""

    async def watch():
        async for _ in call.events():
            if condition(call.security):
                return

    if not condition(call.security):
        await asyncio.wait_for(watch(), PATIENCE)
