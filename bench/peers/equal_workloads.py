"""Scenarios for bench_beside_peers: what a call plays and reads, as other phones do it.

load: one of eight tones for all calls, encoded once for all, and nothing decoded (`echo`);
play: a source of its own for each call, encoded for it;
full: that, and an application that reads all that it hears, 200 ms at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from softphone.call import Call
from softphone.load import Scenario, ScenarioRun
from softphone.media.audio import ToneSource

__all__ = ["full", "play"]

PIECE = 1600
"""Samples that the application reads at a time, at 8,000 Hz."""


@asynccontextmanager
async def _playing(turn: ScenarioRun) -> AsyncIterator[Call]:
    async with turn.dial() as call:
        call.audio.play(ToneSource(300.0 + 5 * (turn.number % 500)))
        yield call


async def _play(turn: ScenarioRun) -> None:
    async with _playing(turn) as call:
        await turn.talk(call)


async def _full(turn: ScenarioRun) -> None:
    async with _playing(turn) as call:
        call.audio.use_rates(read_hz=8000)
        reading = asyncio.create_task(_read(call))
        await turn.talk(call)
        reading.cancel()


async def _read(call: Call) -> None:
    while len(await call.audio.read(PIECE)):
        pass


play = Scenario("play", _play)
full = Scenario("full", _full)
