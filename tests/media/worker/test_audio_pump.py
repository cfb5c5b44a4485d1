"""Sources and sinks of the application, pumped to and from a worker."""

from __future__ import annotations

import asyncio
import os
import sys

import numpy as np
import pytest

from softphone.media import PcmBlock
from softphone.media.audio import PcmRing, RingSink, RingSource, SharedRing, ToneSource
from softphone.media.worker.audio_pump import AudioPump, send_descriptor
from tests.support.waiting import until
from tests.support.wire import Tone

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memfd_create is Linux's")


@pytest.fixture
async def pump():
    made = AudioPump()
    yield made
    made.close()


def source_of(pump, source):
    mouth, descriptor = pump.add_source(source)
    far = RingSource(SharedRing(descriptor), source.clock_rate_hz)
    os.close(descriptor)
    return mouth, far


async def test_a_source_is_read_ahead_at_once_and_never_far(pump):
    tone = Tone()
    _, far = source_of(pump, tone)
    assert tone.at == 1600
    await asyncio.sleep(0.05)
    assert tone.at == 1600
    assert far.read(800).size == 800
    await until(lambda: tone.at == 2400)


async def test_a_source_that_several_streams_play_is_read_once(pump):
    tone = ToneSource(440.0)
    mouth, descriptor = pump.add_source(tone)
    os.close(descriptor)
    again, none = pump.add_source(tone)
    assert again is mouth
    assert none is None
    assert not pump.remove_source(mouth)
    assert pump.remove_source(mouth)


async def test_the_end_of_a_source_is_told_behind_its_last_sample(pump):
    _, far = source_of(pump, Tone(samples=2000))
    heard = 0

    def listen():
        nonlocal heard
        heard += far.read(160).size
        return far.ended

    await until(listen)
    assert heard == 2000


async def test_a_source_that_had_ended_and_is_played_again_is_heard_again(pump):
    tone = Tone(samples=800)
    mouth, far = source_of(pump, tone)
    assert far.read(800).size == 800
    await until(lambda: far.ended)
    tone.left = 400
    again, none = pump.add_source(tone)
    pump.remove_source(mouth)
    assert (again, none) == (mouth, None)
    assert not far.ended
    assert far.read(800).size == 400
    await until(lambda: far.ended)


async def test_what_an_application_says_live_goes_on_soon(pump):
    said = PcmRing()
    _, far = source_of(pump, said)
    assert far.read(160).size == 0
    said.write_samples(np.ones(160, dtype=np.int16))
    await until(lambda: far.read(160).size == 160)


def block(value, generation):
    return PcmBlock(np.full(160, value, dtype=np.int16), 8000, 0, generation)


def sink_of(pump, sink, **options):
    ear, descriptor = pump.add_sink(sink, **options)
    far = RingSink(SharedRing(descriptor), sink.clock_rate_hz)
    os.close(descriptor)
    return ear, far


async def test_a_block_of_a_generation_that_was_left_behind_is_never_heard(pump):
    ring, now = PcmRing(), [1]
    ear, far = sink_of(pump, ring, generation=lambda: now[0], failed=lambda: None)
    far.write(block(7, 1))
    await until(lambda: len(ring) == 160)
    # Under way at the moment at which the call's level falls.
    far.write(block(8, 1))
    now[0] = 2
    far.write(block(9, 2))
    await until(lambda: len(ring) == 160 and ring.timestamp == 160)
    assert set(ring.read(1000).tolist()) == {9}
    assert ear.dropped == 160


async def test_a_sink_that_fails_is_taken_off(pump, caplog):
    class Broken(PcmRing):
        def write(self, block):
            raise RuntimeError("the application's own")

    failed = []
    _, far = sink_of(pump, Broken(), generation=lambda: 0, failed=lambda: failed.append(1))
    far.write(block(1, 0))
    far.write(block(2, 0))
    await until(lambda: failed)
    await asyncio.sleep(0.03)
    assert failed == [1]
    assert "sink failed" in caplog.text


async def test_what_came_before_a_sink_is_taken_off_is_still_given_to_it(pump):
    ring = PcmRing()
    ear, far = sink_of(pump, ring, generation=lambda: 0, failed=lambda: None)
    far.write(block(1, 0))
    pump.remove_sink(ear)
    assert len(ring) == 160


async def test_what_several_hear_is_converted_together_as_it_is_alone(pump):
    class Rude(PcmRing):
        def write_converted(self, block, pcm):
            raise RuntimeError("the application's own")

    failed, now = [], [0]
    rings, alone = [PcmRing(16_000), PcmRing(16_000), PcmRing(24_000)], PcmRing(16_000)
    options = {"generation": lambda: now[0], "failed": lambda: failed.append(1)}
    ends = [sink_of(pump, ring, **options) for ring in rings]
    _, rude = sink_of(pump, Rude(16_000), **options)
    _, twice = sink_of(pump, rings[2], **options)
    for value in (3, 4):
        alone.write(block(value, 0))
        for _, far in ends[:2]:
            far.write(block(value, 0))
        rude.write(block(value, 0))
    twice.write(block(5, 0))
    await until(lambda: len(rings[1]) == len(alone) and len(rings[2]) > 400)
    wanted = alone.read(1000)
    assert np.array_equal(rings[0].read(1000), wanted)
    assert np.array_equal(rings[1].read(1000), wanted)
    assert failed == [1]
    now[0] = 1
    ends[0][1].write(block(6, 0))
    await until(lambda: ends[0][0].dropped == 160)
    assert len(rings[0]) == 0


def test_a_descriptor_is_closed_once_it_is_given():
    read, write = os.pipe()
    os.close(write)
    given = []
    send_descriptor(read, given.append)
    send_descriptor(None, given.append)
    assert given == [(read,), ()]
    with pytest.raises(OSError, match="descriptor"):
        os.fstat(read)
