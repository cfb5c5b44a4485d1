"""The bot with health, metrics and a drain."""

from __future__ import annotations

import asyncio
import re
import signal
import urllib.error
import urllib.request

import pytest

from softphone.errors import CallError
from tests.support.waiting import PATIENCE

NOWHERE = ("--health", "127.0.0.1:0", "--metrics", "127.0.0.1:0")


async def get(url: str) -> tuple[int, str]:
    """The status and the text of a page."""

    def fetch() -> tuple[int, str]:
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    return await asyncio.to_thread(fetch)


async def test_it_is_drained_without_losing_a_call(lab, account_of, run):
    async with run("production_bot.py", lab.accounts["bob"], *NOWHERE) as bot:
        health, metrics = re.findall(r"http://\S+?(?=[,\s]|$)", await bot.line("health at"))
        await bot.line("waits for calls")
        assert await get(f"{health}ready") == (200, "ready\n")
        alice = await account_of("alice")
        call = await alice.dial("bob").answered(timeout=PATIENCE)
        status, figures = await get(metrics)
        assert status == 200
        assert "softphone" in figures
        assert "alice" not in figures

        bot.stop(signal.SIGTERM)
        await bot.line("draining: 1 calls are up")
        assert await get(f"{health}ready") == (503, "draining\n")
        assert (await get(f"{health}live"))[0] == 200
        with pytest.raises(CallError):  # new callers go elsewhere
            await alice.dial("bob").answered(timeout=PATIENCE)
        received = call.statistics.packets_received
        async with asyncio.timeout(PATIENCE):
            while call.statistics.packets_received < received + 25:  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.05)
        call.hangup()
        assert await bot.ended() == 0
        assert bot.printed[-1].endswith("goodbye")


async def test_a_second_signal_ends_it_at_once(lab, account_of, run):
    async with run("production_bot.py", lab.accounts["bob"], *NOWHERE) as bot:
        await bot.line("waits for calls")
        call = await (await account_of("alice")).dial("bob").answered(timeout=PATIENCE)
        bot.stop(signal.SIGTERM)
        await bot.line("draining")
        bot.stop(signal.SIGTERM)
        assert await bot.ended() == 1
        assert (await asyncio.wait_for(call.ended(), PATIENCE)).by == "remote"
