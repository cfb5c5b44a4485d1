"""The voice agent that may be interrupted."""

from __future__ import annotations

import asyncio

from softphone.media.audio import tone_level
from tests.support.sounds import samples, silence, speech
from tests.support.waiting import PATIENCE

QUIET = -50.0
BEEP = -20.0


async def hears(call, frequency, *, above=None, below=None):
    """Wait until what is heard of a frequency in a fifth of a second is as loud as wanted."""
    async with asyncio.timeout(PATIENCE):
        while True:
            heard = await call.audio.read(1600)
            level = tone_level(heard.pcm, frequency, 8000)
            if (above is not None and level > above) or (below is not None and level < below):
                return


async def test_a_caller_interrupts_and_is_answered(lab, account_of, run):
    async with run("voice_agent.py", lab.accounts["bob"]) as agent:
        await agent.line("waits for calls")
        alice = await account_of("alice")
        async with await alice.dial("bob").answered(timeout=60) as call:
            call.audio.use_rates(read_hz=8000, write_hz=8000)
            await agent.line("agent: Hello")
            await hears(call, 440.0, above=BEEP)
            await call.audio.write(samples(speech(1.5), silence(3.0)))
            line = await agent.line("interrupted")
            assert float(line.split()[1]) > 1.0  # of the six seconds that the greeting takes
            said = await agent.line("caller:")
            assert 0.8 < float(said.split()[1]) < 4.0
            assert "You said" in await agent.line("agent:")
            await hears(call, 440.0, above=BEEP)
            await agent.line("said all of it")
            await hears(call, 440.0, below=QUIET)
        await agent.line("alice@127.0.0.1: over")
        agent.stop()
        await agent.ended()
