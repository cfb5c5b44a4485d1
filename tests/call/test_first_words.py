"""`answer(keep=...)`: the caller's first words, for one reader, within bounds."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from softphone.call import Call, IncomingCall
from softphone.call.leg import KeptAudio
from softphone.errors import ConfigurationError
from softphone.events import CallAnswered, DigitReceived
from softphone.media import DigitDetected, PcmBlock
from softphone.media.audio import PcmInput
from tests.support.stage import Stage, first_line


def sinks(stage):
    """What Bob's received sound is delivered to, in order."""
    return [command[2] for command in stage.bob.port.commands if command[0] == "record"]


def block(number: int) -> PcmBlock:
    return PcmBlock(np.full(160, number + 1, dtype=np.int16), 8000, number * 160, 0)


async def ringing(**options):
    stage = Stage()
    stage.dial(**options)
    stage.run(0.1)
    return stage, IncomingCall(stage.bob.leg)


async def answered(stage, incoming, **options) -> Call:
    task = asyncio.ensure_future(incoming.answer(**options))
    await asyncio.sleep(0)
    stage.run(0.3)
    return await task


@pytest.mark.parametrize("delayed", [False, True])
async def test_the_first_reader_gets_what_came_since_the_answer(delayed):
    stage, incoming = await ringing(delayed=delayed)
    assert sinks(stage) == []
    task = asyncio.ensure_future(incoming.answer(keep=2.0))
    await asyncio.sleep(0)
    (kept,) = sinks(stage)
    assert isinstance(kept, KeptAudio)
    kept.write(block(0))  # before the ACK
    stage.run(0.3)
    call = await task
    kept.write(block(1))
    call.audio.use_rates(read_hz=8000)
    heard = [await call.audio.read() for _ in range(2)]
    assert [int(each.pcm[0]) for each in heard] == [1, 2]
    kept.write(block(2))
    assert int((await call.audio.read()).pcm[0]) == 3
    assert len(sinks(stage)) == 1
    stage.run(5)  # the deadline is over, and the reader goes on
    kept.write(block(3))
    assert int((await call.audio.read()).pcm[0]) == 4
    assert call.audio.unread_samples_dropped == 0


async def test_what_nobody_reads_in_time_is_gone_and_a_later_reader_gets_what_comes_then():
    stage, incoming = await ringing()
    call = await answered(stage, incoming, keep=2.0)
    (kept,) = sinks(stage)
    kept.write(block(0))
    stage.run(1.9)
    assert kept.waits
    stage.run(0.2)
    assert not kept.waits
    assert sinks(stage)[1:] == [None]  # nothing is decoded any more
    assert call.audio.unread_samples_dropped == 160
    reading = asyncio.ensure_future(call.audio.read())
    await asyncio.sleep(0)
    fresh = sinks(stage)[-1]
    assert isinstance(fresh, PcmInput)
    fresh.write(block(7))
    assert len(await reading) > 0
    assert not any(isinstance(each, KeptAudio) for each in sinks(stage)[1:])


async def test_a_recording_takes_the_place_and_gets_nothing_of_it(tmp_path):
    stage, incoming = await ringing()
    call = await answered(stage, incoming, keep=2.0)
    (kept,) = sinks(stage)
    kept.write(block(0))
    (_, copy), *_ = kept._blocks
    call.audio.record(tmp_path / "heard.wav")
    assert not kept.waits
    assert not copy.pcm.any()
    call.hangup()
    assert (tmp_path / "heard.wav").stat().st_size < 100


async def test_at_the_end_of_the_call_nothing_is_left():
    stage, incoming = await ringing()
    call = await answered(stage, incoming, keep=2.0)
    (kept,) = sinks(stage)
    kept.write(block(0))
    (_, copy), *_ = kept._blocks
    call.hangup()
    assert not copy.pcm.any()
    assert not kept.waits
    assert len(await call.audio.read()) == 0
    stage.run(5)


async def test_a_call_that_comes_up_too_late_for_anyone_leaves_nothing():
    stage, incoming = await ringing()
    stage.tamper = lambda name, data: b"" if first_line(data).startswith("ACK") else data
    task = asyncio.ensure_future(incoming.answer(keep=1.0))
    await asyncio.sleep(0)
    (kept,) = sinks(stage)
    kept.write(block(0))
    stage.run(40)
    await asyncio.gather(task, return_exceptions=True)
    assert not kept.waits


async def test_where_early_media_is_read_already_nothing_is_kept_beside_it():
    stage, incoming = await ringing()
    early = asyncio.ensure_future(incoming.early_media())
    await asyncio.sleep(0)
    stage.run(0.2)
    audio = await early
    reading = asyncio.ensure_future(audio.read())
    await asyncio.sleep(0)
    call = await answered(stage, incoming, keep=2.0)
    (reader,) = sinks(stage)
    assert isinstance(reader, PcmInput)
    reader.write(block(0))
    await reading
    assert call.audio.unread_samples_dropped == 0


async def test_without_keep_nothing_listens():
    stage, incoming = await ringing()
    await answered(stage, incoming)
    assert sinks(stage) == []


@pytest.mark.parametrize("keep", [0, -1.0, 31.0])
async def test_a_time_that_is_none_is_refused_before_the_answer(keep):
    stage, incoming = await ringing()
    with pytest.raises(ConfigurationError, match="cannot be kept"):
        await incoming.answer(keep=keep)
    assert incoming.unanswered
    await answered(stage, incoming)


async def test_a_stream_has_the_first_words_in_their_place_among_the_events():
    stage, incoming = await ringing()
    task = asyncio.ensure_future(incoming.answer(keep=2.0))
    await asyncio.sleep(0)
    (kept,) = sinks(stage)
    kept.write(block(0))
    stage.run(0.3)
    call = await task
    kept.write(block(1))
    (handle,) = stage.bob.port.opened
    stage.bob.port.callbacks[handle](DigitDetected(handle, "5", 100.0))
    kept.write(block(2))
    call.audio.use_rates(read_hz=8000)
    items = call.stream()
    got = [await anext(items) for _ in range(5)]
    shown = [each if not hasattr(each, "pcm") else int(each.pcm[0]) for each in got]
    answer = CallAnswered(call.security)
    assert shown == [1, answer, 2, DigitReceived("5", 100.0, "rfc4733"), 3]
