"""From jitter buffers to sinks."""

from __future__ import annotations

import numpy as np

from softphone.media.command import play, record
from softphone.media.deliver import make_audiences
from tests.support.wire import Tape, Tone, Wire


def test_blocks_follow_each_other_in_media_time_and_are_the_receivers_own():
    wire = Wire()
    tape = Tape()
    play(wire.a.bank, wire.a.handle, Tone(437.0))
    record(wire.b.bank, wire.b.handle, tape)
    wire.run(20)
    assert [block.timestamp for block in tape.blocks] == [160 * at for at in range(20)]
    assert {block.clock_rate_hz for block in tape.blocks} == {8000}
    kept = tape.blocks[10].pcm.copy()
    wire.run(40)
    assert np.array_equal(tape.blocks[10].pcm, kept)


def test_lost_packets_are_concealed_and_said_to_be():
    wire = Wire()
    tape = Tape()
    play(wire.a.bank, wire.a.handle, Tone())
    record(wire.b.bank, wire.b.handle, tape)
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
    record(wire.b.bank, wire.b.handle, Broken())
    wire.run(3)
    assert "sink failed" in caplog.text
    assert wire.b.bank.stream(wire.b.handle).sink is None
    assert wire.b.bank.stream(other).sink is None
    tape = Tape()
    record(wire.b.bank, wire.b.handle, tape)
    wire.run(3)
    assert len(tape.blocks) == 3


def test_only_rows_with_a_sink_are_an_audience():
    wire = Wire()
    receiving = wire.b.bank.rows(0, wire.b.bank.receives)
    assert make_audiences(wire.b.bank, receiving) == ()
    tape = Tape()
    record(wire.b.bank, wire.b.handle, tape)
    (audience,) = make_audiences(wire.b.bank, receiving)
    assert audience.rows.tolist() == [wire.b.row]
    assert audience.sinks == (tape,)
