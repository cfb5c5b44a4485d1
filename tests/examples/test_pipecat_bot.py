"""The bot of pipecat's: it greets, is interrupted, answers, and says goodbye."""

from __future__ import annotations

import os

from softphone.events import EndedBy
from softphone.media.audio import tone_level
from tests.support.extra_site import PIPECAT
from tests.support.sounds import samples, silence, speech
from tests.support.waiting import patiently

PIPECAT.need()
PLACES = {"PYTHONPATH": os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(PIPECAT.folder)])}


async def hears_beeps(call):
    while tone_level((await call.audio.read(800)).pcm, 440.0, 8000) < -20.0:
        pass


async def test_a_caller_interrupts_is_answered_and_sent_away(lab, account_of, run):
    alice = await account_of("alice")
    async with run("pipecat_bot.py", lab.accounts["bob"], **PLACES) as program:
        await program.line("is registered")
        async with await alice.dial("bob").answered(timeout=60) as call:
            call.audio.use_rates(read_hz=8000, write_hz=8000)
            await program.line("bot: Hello")
            await patiently(hears_beeps(call))
            await call.audio.write(samples(speech(1.0), silence(1.5)))
            line = await program.line("interrupted after")
            assert 0.1 < float(line.split()[2]) < 5.0
            await program.line("bot: I see")
            await patiently(hears_beeps(call))
            await call.send_digits("2")
            await program.line("bot: Goodbye")
            assert (await patiently(call.ended())).by is EndedBy.REMOTE
        program.stop()
        assert await program.ended() == 0
