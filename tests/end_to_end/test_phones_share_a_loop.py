"""Two phones in one loop, under asyncio's and under uvloop's."""

from __future__ import annotations

import asyncio

import pytest

from softphone.config import load_account
from softphone.lab import LabServer
from softphone.phone import Phone
from tests.support.waiting import PATIENCE


async def two_phones(folder):
    """Two phones, two accounts, one call between them; gives whether both saw the lock."""
    async with LabServer(folder) as lab, Phone() as one, Phone() as two:
        alice = await one.register(load_account(lab.accounts["alice"]).config)
        bob = await two.register(load_account(lab.accounts["bob"]).config)

        async def answer():
            async for incoming in bob.incoming():
                return await incoming.answer()

        answering = asyncio.ensure_future(answer())
        async with alice.dial("bob") as outgoing:
            call = await outgoing.answered(timeout=PATIENCE)
            other = await asyncio.wait_for(answering, PATIENCE)
            for each in (call, other):
                async with asyncio.timeout(PATIENCE):
                    async for _ in each.events():
                        if each.security.lock:
                            break
            seen = call.security.lock, other.security.lock
        assert (await asyncio.wait_for(other.ended(), PATIENCE)).by == "remote"
        assert len(one.accounts) == len(two.accounts) == 1
        await one.close(alice)
        assert one.accounts == ()
    return seen


def test_two_phones_share_a_loop(tmp_path):
    assert asyncio.run(two_phones(tmp_path)) == (True, True)


def test_two_phones_share_a_uvloop(tmp_path):
    uvloop = pytest.importorskip("uvloop")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(two_phones(tmp_path)) == (True, True)
