"""What is played of a service's sound, and what was heard of it when it is interrupted."""

from __future__ import annotations

import asyncio
import random
from types import SimpleNamespace

import numpy as np
import pytest

from softphone.agents.realtime.dialect import ReplySound, ToolRequest, ToolWithdrawn
from softphone.agents.realtime.playback import MOST_ITEMS, ReplyPlayback
from softphone.agents.realtime.realtime_call import RealtimeCall
from softphone.agents.realtime.tools import Tool
from softphone.agents.sound_coding import SoundCoding, decode_sound, encode_sound
from softphone.errors import TransportError
from softphone.media.audio import PcmOutput

RATE = 8000
FRAME = 160


class Stream:
    """The audio stream of a call whose media loop is the test: `send` is one frame of it."""

    def __init__(self, rate=RATE):
        self.output = PcmOutput(rate)
        self.sent = np.empty(0, np.int16)

    async def write(self, pcm, *, lead):
        await self.output.write(pcm, lead=lead)

    async def played(self):
        await self.output.mark().played()

    def flush(self):
        return self.output.flush()

    async def send(self, samples=FRAME):
        await asyncio.sleep(0)
        self.sent = np.concatenate((self.sent, self.output.read(samples)))
        for _ in range(4):
            await asyncio.sleep(0)


@pytest.fixture
async def playing():
    """`playing(coding)`: a playback that plays, and its stream."""
    tasks = []

    def make(coding=SoundCoding.PCM, rate=RATE):
        stream = Stream(rate)
        playback = ReplyPlayback(stream, coding, rate)
        tasks.append(asyncio.ensure_future(playback.play()))
        return playback, stream

    yield make
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def sound(begin, samples):
    """Samples that say which they are."""
    return (np.arange(begin, begin + samples) % 30000 + 1).astype("<i2").tobytes()


async def test_sound_is_played_in_order_and_an_interruption_says_how_far(playing):
    playback, stream = playing()
    playback.add_sound("a", sound(0, 4 * RATE))
    for _ in range(58):
        await stream.send()
    assert playback.interrupt() == [("a", 1160)]
    assert stream.sent.tobytes() == sound(0, 58 * FRAME)
    await stream.send()
    # Silence from the very next frame on, and the next answer is whole.
    assert stream.sent.size == 58 * FRAME
    playback.add_sound("b", sound(7, FRAME))
    await stream.send()
    assert stream.sent[58 * FRAME :].tobytes() == sound(7, FRAME)
    assert playback.interrupt() == []


async def test_all_items_that_were_not_heard_whole_are_named(playing):
    playback, stream = playing()
    for name in "abc":
        playback.add_sound(name, sound(0, 1600))
    for _ in range(13):
        await stream.send()
    assert playback.interrupt() == [("b", 60), ("c", 0)]


async def test_a_sample_may_be_split_but_not_between_items(playing):
    playback, stream = playing()
    octets = sound(0, 320)
    playback.add_sound("a", octets[:1])
    playback.add_sound("a", octets[1:321])
    playback.add_sound("a", octets[321:])
    await stream.send(320)
    assert stream.sent.tobytes() == octets
    playback.add_sound("a", b"\x01")
    playback.add_sound("b", octets[:320])
    await stream.send()
    assert stream.sent[320:].tobytes() == octets[:320]


@pytest.mark.parametrize("coding", [SoundCoding.PCMU, SoundCoding.PCMA])
async def test_g711_octets_are_those_that_are_played(playing, coding):
    """The far end hears the very codes of the service: silence has two codes."""
    playback, stream = playing(coding)
    octets = bytes(range(256))
    playback.add_sound("a", octets)
    await stream.send(256)
    back = encode_sound(stream.sent, coding)
    changed = [(a, b) for a, b in zip(octets, back, strict=True) if a != b]
    assert all(
        decode_sound(bytes([a]), coding) == decode_sound(bytes([b]), coding) == 0
        for a, b in changed
    )
    assert len(changed) <= 1


async def test_what_was_heard_is_right_at_any_moment(playing):
    """Pieces of any size, frames and interruptions in any order: nothing is lost or invented."""
    for seed in range(20):
        chance = random.Random(seed)
        playback, stream = playing()
        queued = {}
        told = {}
        for number in range(60):
            action = chance.random()
            if action < 0.4:
                item, octets = str(number // 8), sound(0, chance.choice((1, 7, 160, 801, 5000)))
                if item not in told:
                    playback.add_sound(item, octets)
                    queued[item] = queued.get(item, 0) + len(octets) // 2
            elif action < 0.95:
                await stream.send(chance.choice((80, 160, 480)))
            else:
                told |= dict(playback.interrupt())
        told |= dict(playback.interrupt())
        heard = sum(queued[item] for item in queued.keys() - told.keys())
        cut = sum(ms * 8 for ms in told.values())
        assert heard + cut <= stream.sent.size < heard + cut + 8 * (len(told) + 1), seed
        assert all(ms * 8 <= queued[item] for item, ms in told.items())


async def test_draining_waits_for_the_last_sample_or_an_interruption(playing):
    playback, stream = playing()
    draining = asyncio.ensure_future(playback.drain())
    await stream.send()
    await asyncio.wait_for(draining, 5)
    playback.add_sound("a", sound(0, 8000))
    draining = asyncio.ensure_future(playback.drain())
    for _ in range(50):
        assert not draining.done()
        await stream.send()
    await stream.send()  # a frame counts as sent when the next one is read
    await asyncio.wait_for(draining, 5)
    playback.add_sound("b", sound(0, 80000))
    draining = asyncio.ensure_future(playback.drain())
    await stream.send()
    playback.interrupt()
    for _ in range(2):
        await stream.send()
    await asyncio.wait_for(draining, 5)


async def test_a_flood_is_refused(playing):
    playback, _ = playing(SoundCoding.PCMU)
    playback.add_sound("a", bytes(299 * RATE))
    assert playback.waiting_seconds == 299.0
    with pytest.raises(TransportError, match="300 s"):
        playback.add_sound("a", bytes(2 * RATE))
    playback.interrupt()
    playback.add_sound("a", bytes(299 * RATE))


async def test_a_flood_of_answers_is_refused(playing):
    playback, _ = playing(SoundCoding.PCM)
    for number in range(MOST_ITEMS):
        playback.add_sound(str(number), b"\x00\x00")
        playback.add_sound(f"empty {number}", b"")
    with pytest.raises(TransportError, match="answers"):
        playback.add_sound("another", b"\x00\x00")


async def test_a_name_of_an_answer_is_bounded(playing):
    playback, _ = playing(SoundCoding.PCM)
    playback.add_sound("a" * 512, b"\x00\x00")
    with pytest.raises(TransportError, match="by 513 characters"):
        playback.add_sound("a" * 513, b"\x00\x00")


async def test_answers_that_were_heard_are_forgotten(playing):
    playback, stream = playing()
    for number in range(200):
        playback.add_sound(str(number), sound(0, FRAME))
        await stream.send()
    assert len(playback._items) < 50


async def test_a_withdrawn_function_leaves_no_call_waiting_for_its_end():
    """A call that is about to be hung up outlives its session; this one is not, any more."""
    dialect = SimpleNamespace(coding=SoundCoding.PCM, heard_hz=RATE, spoken_hz=RATE)
    stream = Stream()
    stream.use_rates = lambda **_: None
    call = RealtimeCall(
        SimpleNamespace(audio=stream),
        SimpleNamespace(dialect=dialect),
        tools=(Tool.HANG_UP,),
        report=lambda _: None,
    )
    work = [
        asyncio.ensure_future(each) for each in (call._playback.play(), call._carry_out_requests())
    ]
    call._handle(ReplySound("a", sound(0, 2 * FRAME)))
    call._handle(ToolRequest("1", Tool.HANG_UP.value, "{}"))
    await stream.send()
    assert call._leaving
    call._handle(ToolWithdrawn("1"))
    for _ in range(4):
        await stream.send()
    assert not call._leaving
    for each in work:
        each.cancel()
    await asyncio.gather(*work, return_exceptions=True)
