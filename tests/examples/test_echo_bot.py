"""The echo bot."""

from __future__ import annotations

import asyncio
import signal

from softphone.media.audio import ToneSource
from tests.support.calling import level_heard
from tests.support.waiting import PATIENCE


async def test_a_caller_hears_what_they_say(lab, account_of, run):
    async with run("echo_bot.py", lab.accounts["bob"]) as bot:
        await bot.line("waits for calls")
        alice = await account_of("alice")
        async with await alice.dial("bob").answered(timeout=60) as call:
            assert await bot.line("answered, encrypted")
            call.audio.play(ToneSource(600.0))
            while not call.audio.statistics.packets_received:
                await call.audio.read()
            async with asyncio.timeout(PATIENCE):
                while await level_heard(call, 600.0) < -30.0:
                    pass
        await bot.line("alice@127.0.0.1: over")
        bot.stop(signal.SIGTERM)
        assert await bot.ended() == 0
        assert bot.printed[-1] == "goodbye"


async def test_callers_hear_a_bye_when_it_is_stopped(lab, account_of, run):
    async with run("echo_bot.py", lab.accounts["bob"]) as bot:
        await bot.line("waits for calls")
        alice = await account_of("alice")
        call = await alice.dial("bob").answered(timeout=60)
        bot.stop(signal.SIGINT)
        assert await bot.ended() == 0
        assert (await asyncio.wait_for(call.ended(), PATIENCE)).by == "remote"


async def test_a_wrong_account_file_is_said_without_a_traceback(tmp_path, run):
    (tmp_path / "wrong.toml").write_text('aor = "nobody"\n')
    async with run("echo_bot.py", "wrong.toml") as bot:
        assert await bot.ended() == 1
        assert "wrong.toml" in bot.printed[-1]
