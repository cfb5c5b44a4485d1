"""The synchronous script."""

from __future__ import annotations

import asyncio
import wave

from softphone.media.audio import ToneSource
from tests.support.calling import answer_one, level_heard
from tests.support.waiting import PATIENCE


async def test_people_are_called_in_turn_until_one_confirms(lab, account_of, run, tmp_path):
    message = tmp_path / "alarm.wav"
    with wave.open(str(message), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(ToneSource(700.0).read(8000 * 20).astype("<i2").tobytes())
    bob, dave = await account_of("bob"), await account_of("dave")
    called = ["nobody", "bob", "dave"]
    async with run("alarm.py", lab.accounts["alice"], "--message", message, *called) as alarm:
        call = await asyncio.wait_for(answer_one(bob), PATIENCE)
        await call.send_digits("2")  # not this one
        await asyncio.wait_for(call.ended(), PATIENCE)
        call = await asyncio.wait_for(answer_one(dave), PATIENCE)
        async with asyncio.timeout(PATIENCE):
            while await level_heard(call, 700.0) < -30.0:
                pass
        await call.send_digits("1")
        await asyncio.wait_for(call.ended(), PATIENCE)
        assert await alarm.ended() == 0
        assert alarm.printed[-1] == "dave"
        assert any("nobody" in line for line in alarm.printed)


async def test_nobody_confirms(lab, run, tmp_path):
    (tmp_path / "empty.wav").touch()
    command = ("alarm.py", lab.accounts["alice"], "--message", tmp_path / "empty.wav", "nobody")
    async with run(*command) as alarm:
        assert await alarm.ended() == 1
