"""Two phones call each other with every codec, and speak in samples, wherever media runs."""

from __future__ import annotations

import asyncio
import sys
import time

import numpy as np
import pytest

from softphone.config import AccountConfig, MediaPreferences
from softphone.errors import LocalProtocolError
from softphone.media import MediaConfig, Placement
from softphone.media.audio import tone_level
from softphone.phone import Phone
from tests.support.waiting import PATIENCE, patiently

AUDIBLE_DBM0 = -20.0
INAUDIBLE_DBM0 = -45.0

placements = pytest.mark.parametrize(
    "placement",
    [
        Placement.INLINE,
        pytest.param(
            Placement.WORKER,
            marks=pytest.mark.skipif(sys.platform != "linux", reason="workers need Linux"),
        ),
    ],
)


def account(name: str, **media) -> AccountConfig:
    return AccountConfig(
        aor=f"sip:{name}@127.0.0.1", listen="udp:127.0.0.1:0", media=MediaPreferences(**media)
    )


async def connect(phone, **media):
    alice = await phone.register(account("alice", **media))
    bob = await phone.register(account("bob", **media))

    async def answer():
        async for incoming in bob.incoming():
            return await incoming.answer()

    answering = asyncio.create_task(answer())
    _, host, port = bob.listening
    call = await alice.dial(f"sip:bob@{host}:{port}").answered(timeout=PATIENCE)
    return call, await patiently(answering)


def tone(hertz: float, seconds: float, rate: int) -> np.ndarray:
    time_of = np.arange(round(seconds * rate)) / rate
    return (8000 * np.sin(2 * np.pi * hertz * time_of)).astype(np.int16)


async def level(call, hertz: float, seconds: float = 0.5) -> float:
    """What is heard from now on, after what is buffered has been passed over."""
    rate = (await call.audio.read()).clock_rate_hz
    await call.audio.read(int(0.4 * rate))
    heard = await patiently(call.audio.read(int(seconds * rate)))
    return tone_level(heard.pcm, hertz, rate)


@placements
@pytest.mark.parametrize("codec", ["PCMU", "G722", "opus", "L16", "L16/16000"])
async def test_both_sides_hear_each_other_with_each_codec(placement, codec):
    async with Phone(media=MediaConfig(placement=placement)) as phone:
        call, other = await connect(phone, codecs=(codec,))
        assert call.audio.codec == other.audio.codec == codec.upper()
        call.audio.use_rates(read_hz=8000, write_hz=24000)
        other.audio.use_rates(read_hz=48000, write_hz=8000)
        # Who writes waits for room: what is heard may be as late as it likes.
        writing = [
            asyncio.ensure_future(call.audio.write(tone(440.0, PATIENCE, 24000))),
            asyncio.ensure_future(other.audio.write(tone(1000.0, PATIENCE, 8000).tobytes())),
        ]
        assert await level(other, 440.0) > AUDIBLE_DBM0
        assert await level(call, 1000.0) > AUDIBLE_DBM0
        await call.send_digits("5")
        assert call.audio.statistics.cumulative_lost == 0
        for each in writing:
            each.cancel()


@placements
async def test_barge_in_marks_and_the_end(placement):
    async with Phone(media=MediaConfig(placement=placement)) as phone:
        call, other = await connect(phone)
        rate = 16000
        assert len(await other.audio.read()) > 0
        await call.audio.write(tone(500.0, 0.5, rate))
        first = call.audio.mark()
        began = time.monotonic()
        await call.audio.write(tone(500.0, 5.0, rate))
        second = call.audio.mark()
        assert await patiently(first.played())
        assert time.monotonic() - began > 0.35
        assert not second.done
        assert await level(other, 500.0, 0.2) > AUDIBLE_DBM0
        left = call.audio.flush()
        assert 0 < left < 5.0 * rate
        assert not await second.played()
        assert await level(other, 500.0, 0.2) < INAUDIBLE_DBM0
        await call.audio.write(tone(500.0, 0.1, rate))
        last = call.audio.mark()
        assert await patiently(last.played())
        waiting = asyncio.ensure_future(_listen(other))
        call.hangup()
        assert await patiently(waiting) > 0
        with pytest.raises(LocalProtocolError):
            await call.audio.write(tone(500.0, 0.1, rate))


@placements
async def test_what_is_written_pauses_and_goes_on_where_it_was(placement):
    async with Phone(media=MediaConfig(placement=placement)) as phone:
        call, other = await connect(phone)
        assert len(await other.audio.read()) > 0
        began = time.monotonic()
        await call.audio.write(tone(500.0, 0.3, 16000), lead=0.06)
        assert time.monotonic() - began > 0.15  # it took as long as its sound, less the lead
        writing = asyncio.ensure_future(call.audio.write(tone(500.0, 3.0, 16000), lead=0.06))
        assert await level(other, 500.0, 0.2) > AUDIBLE_DBM0
        call.audio.pause()
        assert call.audio.paused
        mark = call.audio.mark()
        assert await level(other, 500.0, 0.2) < INAUDIBLE_DBM0
        assert not mark.done
        assert not writing.done()
        call.audio.resume()
        assert not call.audio.paused
        assert await patiently(mark.played())
        assert await level(other, 500.0, 0.2) > AUDIBLE_DBM0
        call.audio.flush()
        await patiently(writing)


async def _listen(call) -> int:
    return sum([len(heard) async for heard in call.audio])


@placements
async def test_the_far_ends_sound_has_the_time_at_which_it_was_captured(placement):
    config = MediaConfig(placement=placement, rtcp_interval=0.5)
    async with Phone(media=config) as phone:
        began = time.time()
        call, other = await connect(phone)
        await call.audio.write(tone(500.0, 4.0, 16000))
        async with asyncio.timeout(PATIENCE):
            async for heard in other.audio:
                if not heard.captured:
                    continue  # nothing has come yet
                # Both ends have one clock; RTCP only guesses how long the way is.
                assert began - 0.05 < heard.captured < time.time() + 0.05
                if heard.captured_by == "rtcp":
                    break
        assert heard.timestamp > 0


async def test_comfort_noise_is_sent_to_whoever_agrees_to_it():
    async with Phone() as phone:
        call, other = await connect(phone, comfort_noise=True)
        await call.audio.write(tone(500.0, 0.3, 16000))
        await other.audio.read(16000)
        before = call.audio.statistics.packets_sent
        heard = await other.audio.read(16000)
        assert call.audio.statistics.packets_sent - before < 15
        volume = 20 * np.log10(np.sqrt(np.mean(heard.pcm.astype(float) ** 2)) / 32768)
        assert -76 < volume < -66
