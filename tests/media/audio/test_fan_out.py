"""Several listeners to one stream."""

from __future__ import annotations

import numpy as np

from softphone.media import PcmBlock, Sink
from softphone.media.audio import PcmInput, PcmRing, write_blocks
from softphone.media.audio.fan_out import TeeSink


def block():
    return PcmBlock(np.ones(160, dtype=np.int16), 8000, 0, 0)


def test_every_sink_hears_everything():
    one, two = PcmRing(8000), PcmRing(16_000)
    fan = TeeSink(one, two)
    assert isinstance(fan, Sink)
    assert fan.clock_rate_hz == 0
    fan.write(block())
    assert len(one) == 160
    assert len(two) > 200
    assert fan.dropped_samples == 0


def test_one_that_fails_is_taken_off_and_the_others_go_on(caplog):
    class Broken:
        clock_rate_hz = 0
        dropped_samples = 0

        def write(self, block):
            raise OSError("disk full")

    ring = PcmRing(8000)
    fan = TeeSink(Broken(), ring)
    fan.write(block())
    fan.write(block())
    assert len(ring) == 320
    assert fan.sinks == (ring,)
    assert caplog.text.count("a media sink failed") == 1


def test_each_sink_is_given_its_block_and_those_that_fail_are_named(caplog):
    class Broken(PcmRing):
        def write(self, block):
            raise OSError("disk full")

    sinks = [PcmRing(16_000), Broken(), PcmRing(24_000), PcmRing(16_000), PcmInput(8000)]
    takers = [sinks[0], None, None, sinks[3], sinks[4]]
    assert write_blocks(sinks, takers, [block()] * 5) == [1]
    assert [len(sinks[0]), len(sinks[2])] == [272, 408]
    assert np.array_equal(sinks[0].read(400), sinks[3].read(400))
    assert sinks[4].waiting_samples == 160
    assert "sink failed" in caplog.text
    assert write_blocks([], [], []) == []


def test_those_within_a_fan_are_converted_with_the_others_as_they_are_alone(caplog):
    class Rude(PcmRing):
        def write_converted(self, block, pcm):
            raise OSError("not now")

    alone, own = PcmRing(16_000), PcmRing(16_000)
    rings, rude = [PcmRing(16_000) for _ in range(2)], Rude(16_000)
    fans = [TeeSink(rings[0], PcmRing(24_000)), TeeSink(rude, rings[1])]
    for _ in range(3):
        alone.write(block())
        assert write_blocks([*fans, own], [None, None, own], [block()] * 3) == []
    wanted = alone.read(2000)
    assert wanted.size > 900
    for ring in (*rings, own):
        assert np.array_equal(ring.read(2000), wanted)
    assert fans[1].sinks == (rings[1],)
    assert caplog.text.count("sink failed") == 1


def test_one_that_hears_two_streams_hears_them_in_turn():
    both, alone = PcmRing(16_000), PcmRing(16_000)
    assert write_blocks([both, TeeSink(both)], [both, None], [block(), block()]) == []
    alone.write(block())
    alone.write(block())
    assert np.array_equal(both.read(2000), alone.read(2000))
