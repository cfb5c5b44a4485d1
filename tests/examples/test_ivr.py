"""The smallest IVR."""

from __future__ import annotations

import asyncio

from softphone.events import EndedBy
from softphone.media.audio import tone_level
from tests.examples.test_dialer import wav
from tests.support.sounds import tone
from tests.support.waiting import PATIENCE

PROMPT_HZ = 700.0


def menu_of(tmp_path):
    return "--prompt", wav(tmp_path / "menu.wav", tone(PROMPT_HZ, seconds=60.0))


async def hear(call, frequency):
    """Wait until a block of 20 ms is a tone: on a busy machine longer pieces have gaps."""
    async with asyncio.timeout(PATIENCE):
        async for block in call.audio:
            if tone_level(block.pcm, frequency, 16000) > -30.0:
                return


async def test_a_caller_may_choose_again_and_is_transferred_by_the_digit(
    lab, account_of, run, tmp_path
):
    options = ("1=601", "2=dave", "--seconds", "60", *menu_of(tmp_path))
    async with run("ivr.py", lab.accounts["bob"], *options) as ivr:
        await ivr.line("waits for calls")
        alice = await account_of("alice")
        async with await alice.dial("bob").answered(timeout=60) as call:
            await hear(call, PROMPT_HZ)
            await call.send_digits("92")  # not on the menu, and nobody there
            await ivr.line("dave: ")
            await call.send_digits("1")
            await ivr.line("alice: transferred to 601")
            await hear(call, 440.0)


async def test_who_chooses_nothing_is_hung_up_and_told_why(lab, account_of, run, tmp_path):
    options = ("1=601", "--seconds", "0.2", *menu_of(tmp_path))
    async with run("ivr.py", lab.accounts["bob"], *options) as ivr:
        await ivr.line("waits for calls")
        alice = await account_of("alice")
        call = await alice.dial("bob").answered(timeout=60)
        ended = await asyncio.wait_for(call.ended(), PATIENCE)
        assert (ended.by, ended.reason) == (EndedBy.REMOTE, "nothing was chosen")
        assert ended.q850_cause == 16


async def test_a_caller_who_hangs_up_is_no_mistake(lab, account_of, run, tmp_path):
    async with run("ivr.py", lab.accounts["bob"], "1=601", *menu_of(tmp_path)) as ivr:
        await ivr.line("waits for calls")
        alice = await account_of("alice")
        call = await alice.dial("bob").answered(timeout=60)
        await hear(call, PROMPT_HZ)
        call.hangup()
        assert await ivr.line("alice: hung up")
