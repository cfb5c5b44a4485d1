"""A stream that hears another codec, on the wire of arrays."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from softphone.media import PayloadTypeChanged
from softphone.media.audio import at_rate
from softphone.media.audio.sources import PcmRing
from softphone.media.bank import FRAME
from softphone.media.tick import RemoteAddresses
from softphone.media.tick.stream_commands import open_stream, set_sink, set_source
from tests.support.wire import Tape, Wire, raw_address

CODECS = {"PCMU": 0, "PCMA": 8, "G722": 9, "L16": 96, "OPUS": 111}


class Steady:
    """A tone that can be read at any rate."""

    def __init__(self, rate: int, hertz: float = 400.0) -> None:
        self.clock_rate_hz, self._at, self._hertz = rate, 0, hertz
        self.ended = False

    def read(self, samples: int) -> np.ndarray:
        time = (np.arange(samples) + self._at) / self.clock_rate_hz
        self._at += samples
        return (6000 * np.sin(2 * np.pi * self._hertz * time)).astype(np.int16)


def wire_of(first: str) -> Wire:
    others = {name: number for name, number in CODECS.items() if name != first}
    wire = Wire(
        codec=first,
        payload_type=CODECS[first],
        other_payload_types=tuple(others.values()),
        other_codecs=tuple(others),
    )
    for station in (wire.a, wire.b):
        station.bank.feeds._adapt = at_rate
    return wire


def change(wire: Wire, codec: str) -> None:
    """A sends another codec from now on; B is told nothing."""
    spec = wire.a.bank.find_stream(wire.a.handle).spec
    changed = replace(
        spec,
        codec=codec,
        payload_type=CODECS[codec],
        receive_payload_type=CODECS[codec],
        other_payload_types=(),
        other_codecs=(),
    )
    far_end = RemoteAddresses(raw_address("10.0.0.2", 5000), raw_address("10.0.0.2", 5001))
    station = wire.a
    now = wire.frame * FRAME
    open_stream(station.bank, station.handle, changed, far_end, frame=wire.frame, now=now)


@pytest.mark.parametrize(("first", "second"), list(itertools.permutations(CODECS, 2)))
def test_the_far_end_may_change_to_any_codec_agreed_and_nobody_hears_a_click(first, second):
    wire = wire_of(first)
    ring = PcmRing(16000, seconds=10.0)
    set_source(wire.a.bank, wire.a.handle, Steady(16000))
    set_sink(wire.b.bank, wire.b.handle, ring)
    wire.run(50)
    change(wire, second)
    wire.run(50)
    told = [e for e in wire.b.events if isinstance(e, PayloadTypeChanged)]
    assert told == [PayloadTypeChanged(wire.b.handle, CODECS[second])]
    pcm = ring.read(16000 * 10)[3200:].astype(float)
    # The tone's own steepest step is 6000 * 2 pi 400 / 16000 = 942 a sample.
    assert np.abs(np.diff(pcm)).max() < 1500
    assert np.abs(pcm[-8000:]).max() > 5000
    assert wire.b.bank.receiver.unknown_type[wire.b.row] == 0
    assert wire.b.bank.playout.played[wire.b.row] > 80


def test_alike_codecs_change_from_frame_to_frame_and_nothing_is_concealed():
    wire = wire_of("PCMU")
    tape = Tape()
    set_source(wire.a.bank, wire.a.handle, Steady(8000))
    set_sink(wire.b.bank, wire.b.handle, tape)
    wire.run(30)
    change(wire, "PCMA")
    wire.run(30)
    assert not any(block.concealed for block in tape.blocks[5:])
    sent = tape.pcm[1600:].astype(float)
    assert np.abs(np.diff(sent)).max() < 6000 * 2 * np.pi * 400 / 8000 + 700


def test_a_packet_from_before_the_change_that_comes_late_does_not_change_it_back():
    wire = wire_of("PCMU")
    kept = []

    def hold(frame, datagram):
        if datagram.is_rtp and frame == 29:
            kept.append(datagram)
            return []
        return [*kept, datagram] if frame == 31 and datagram.is_rtp else [datagram]

    wire.run(30, to_b=hold)
    change(wire, "OPUS")
    wire.run(10, to_b=hold)
    told = [e for e in wire.b.events if isinstance(e, PayloadTypeChanged)]
    assert told == [PayloadTypeChanged(wire.b.handle, 111)]
    assert wire.b.bank.playout.resynchronized[wire.b.row] == 0


def test_counters_go_on_over_a_change_of_clock():
    wire = wire_of("PCMU")
    set_sink(wire.b.bank, wire.b.handle, Tape())
    wire.run(40)
    before = int(wire.b.bank.playout.played[wire.b.row])
    change(wire, "OPUS")
    wire.run(40)
    bank, row = wire.b.bank, wire.b.row
    assert bank.playout.played[row] > before + 30
    assert bank.reception.received[row] == 80
    assert bank.reception.cumulative_lost(slice(row, row + 1))[0] == 0
    assert bank.reception.jitter[row] / 48000 < 0.002
