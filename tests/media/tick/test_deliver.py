"""From jitter buffers to sinks."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from softphone.media import PcmBlock, StreamHandle, StreamSpec
from softphone.media.audio import PcmInput
from softphone.media.tick import RemoteAddresses
from softphone.media.tick.deliver import make_receive_groups
from softphone.media.tick.stream_commands import open_stream, set_sink, set_source
from tests.support.wire import Tape, Tone, Wire, raw_address


def test_blocks_follow_each_other_in_media_time_and_are_the_receivers_own():
    wire = Wire()
    tape = Tape()
    set_source(wire.a.bank, wire.a.handle, Tone(437.0))
    set_sink(wire.b.bank, wire.b.handle, tape)
    wire.run(20)
    assert [block.timestamp for block in tape.blocks] == [160 * at for at in range(20)]
    assert {block.clock_rate_hz for block in tape.blocks} == {8000}
    kept = tape.blocks[10].pcm.copy()
    wire.run(40)
    assert np.array_equal(tape.blocks[10].pcm, kept)


def test_lost_packets_are_concealed_and_said_to_be():
    wire = Wire()
    tape = Tape()
    set_source(wire.a.bank, wire.a.handle, Tone())
    set_sink(wire.b.bank, wire.b.handle, tape)
    wire.run(60, to_b=lambda f, d: [] if f in (30, 40) else [d])
    assert sum(block.concealed for block in tape.blocks) == 2
    hidden = next(block for block in tape.blocks if block.concealed)
    assert np.abs(hidden.pcm).max() > 1000


def test_a_sink_that_fails_is_taken_off_and_the_others_go_on(caplog):
    class Broken(Tape):
        def write(self, block):
            raise OSError("disk full")

    wire = Wire()
    other = wire.b.add(5010)
    set_sink(wire.b.bank, wire.b.handle, Broken())
    wire.run(3)
    assert "sink failed" in caplog.text
    assert wire.b.bank.find_stream(wire.b.handle).sink is None
    assert wire.b.bank.find_stream(other).sink is None
    tape = Tape()
    set_sink(wire.b.bank, wire.b.handle, tape)
    wire.run(3)
    assert len(tape.blocks) == 3


def test_only_rows_with_a_sink_are_an_audience():
    wire = Wire()
    receiving = wire.b.bank.flagged_rows(0, wire.b.bank.receiver.receives)
    assert make_receive_groups(wire.b.bank, receiving) == ()
    tape = Tape()
    set_sink(wire.b.bank, wire.b.handle, tape)
    (audience,) = make_receive_groups(wire.b.bank, receiving)
    assert audience.rows.tolist() == [wire.b.row]
    assert audience.sinks == (tape,)


class Kept(PcmInput):
    """Keeps what it took."""

    def __init__(self, rate: int) -> None:
        super().__init__(rate)
        self.blocks: list[PcmBlock] = []

    def write_converted(self, block, pcm):
        self.blocks.append(block)
        super().write_converted(block, pcm)


def opened(wire: Wire, count: int) -> list[StreamHandle]:
    """So many streams of b, of which the first hears a."""
    handles = [wire.b.handle]
    for at in range(1, count):
        handles.append(wire.b.add(5000 + 10 * at))
        spec, far_end = StreamSpec(("192.0.2.9", 6000 + at)), raw_address("192.0.2.9", 6000 + at)
        ends = RemoteAddresses(far_end, far_end)
        open_stream(wire.b.bank, handles[-1], spec, ends, frame=0, now=0.0)
    return handles


async def test_what_is_converted_together_is_heard_as_it_is_alone():
    wire = Wire()
    heard = [Kept(rate) for rate in (16000, 24000, 16000, 8000)]
    set_source(wire.a.bank, wire.a.handle, Tone(437.0))
    for stream, sink in zip(opened(wire, 4), heard, strict=True):
        set_sink(wire.b.bank, stream, sink)
    wire.run(30)
    for sink in heard:
        alone = PcmInput(sink.clock_rate_hz)
        for block in sink.blocks:
            alone.write(block)
        assert len(sink.blocks) == 30
        assert sink.waiting_samples == alone.waiting_samples
        while sink.waiting_samples:
            one, other = await sink.read(), await alone.read()
            assert np.array_equal(one.pcm, other.pcm)
            assert (one.timestamp, one.captured) == (other.timestamp, other.captured)
    assert max(np.abs(block.pcm).max() for block in heard[0].blocks) > 7000


async def test_a_reader_that_is_stuck_costs_the_others_nothing():
    wire = Wire()
    stuck, brisk = PcmInput(16000, seconds=0.5), PcmInput(16000, seconds=0.5)
    for stream, sink in zip(opened(wire, 2), (stuck, brisk), strict=True):
        set_sink(wire.b.bank, stream, sink)
    heard = []
    for _ in range(100):
        wire.run(1)
        heard.append(await brisk.read())
    assert all(after.timestamp == one.timestamp + len(one) for one, after in pairwise(heard))
    assert brisk.dropped_samples == brisk.waiting_samples == 0
    assert stuck.waiting_samples <= 8000
    assert stuck.dropped_samples > 100 * 320 - 8000 - 320


def test_one_that_hears_several_rows_takes_them_in_turn():
    wire = Wire()
    sink = Kept(16000)
    for stream in opened(wire, 3):
        set_sink(wire.b.bank, stream, sink)
    wire.run(5)
    assert len(sink.blocks) == 15


def test_a_converting_sink_that_fails_is_taken_off_and_the_others_go_on(caplog):
    class Shy(PcmInput):
        def prepare(self, block):
            raise OSError("not now")

    class Rude(PcmInput):
        def write_converted(self, block, pcm):
            raise OSError("not this")

    wire = Wire()
    sinks, streams = [Shy(), Rude(), PcmInput()], opened(wire, 3)
    for stream, sink in zip(streams, sinks, strict=True):
        set_sink(wire.b.bank, stream, sink)
    wire.run(4)
    assert caplog.text.count("sink failed") == 2
    assert [wire.b.bank.find_stream(stream).sink for stream in streams] == [None, None, sinks[2]]
    assert sinks[2].waiting_samples > 3 * 320
