"""What streams send, told to whoever listens."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from softphone.events import Direction
from softphone.media import MediaConfig, PcmBlock, PortRange, StreamSpec
from softphone.media.audio import ToneSource, tone_level
from softphone.media.tick.stream_commands import (
    set_direction,
    set_monitor,
    set_muted,
    set_sink,
    set_source,
)
from softphone.media.worker import RemoteEngine
from tests.support.waiting import PATIENCE
from tests.support.wire import Tape, Tone, Wire


def test_it_hears_what_is_sent_in_the_media_time_of_what_is_received():
    wire = Wire()
    sent, received = Tape(), Tape()
    set_source(wire.a.bank, wire.a.handle, Tone(437.0))
    set_monitor(wire.a.bank, wire.a.handle, sent)
    set_sink(wire.a.bank, wire.a.handle, received)
    wire.run(20)
    assert [block.timestamp for block in sent.blocks] == [160 * at for at in range(20)]
    assert [block.timestamp for block in received.blocks] == [160 * at for at in range(20)]
    heard = np.concatenate([block.pcm for block in sent.blocks])
    assert tone_level(heard, 437.0, 8000) > -20.0


def test_it_hears_silence_where_there_is_no_source_and_while_the_stream_is_muted():
    wire = Wire()
    sent = Tape()
    set_monitor(wire.a.bank, wire.a.handle, sent)
    wire.run(5)
    assert len(sent.blocks) == 5
    assert not any(block.pcm.any() for block in sent.blocks)
    set_source(wire.a.bank, wire.a.handle, Tone())
    wire.run(5)
    assert sent.blocks[-1].pcm.any()
    set_muted(wire.a.bank, wire.a.handle, True)
    wire.run(5)
    assert not sent.blocks[-1].pcm.any()


def test_it_hears_nothing_while_nothing_may_be_sent_and_stops_when_told():
    wire = Wire()
    sent = Tape()
    set_monitor(wire.a.bank, wire.a.handle, sent)
    set_direction(wire.a.bank, wire.a.handle, Direction.RECVONLY, now=0.0)
    wire.run(5)
    assert sent.blocks == []
    set_direction(wire.a.bank, wire.a.handle, Direction.SENDRECV, now=0.0)
    wire.run(5)
    assert sent.blocks[0].timestamp == 800
    set_monitor(wire.a.bank, wire.a.handle, None)
    wire.run(5)
    assert len(sent.blocks) == 5


def test_one_that_fails_is_taken_off_and_the_stream_goes_on(caplog):
    class Broken(Tape):
        def write(self, block):
            raise OSError("disk full")

    wire = Wire()
    set_monitor(wire.a.bank, wire.a.handle, Broken())
    wire.run(3)
    assert "monitor" in caplog.text
    assert wire.a.bank.find_stream(wire.a.handle).monitor is None
    assert wire.a.bank.sender.packets_sent[wire.a.row] == 3


@pytest.mark.skipif(sys.platform != "linux", reason="workers need Linux")
async def test_a_worker_tells_it_too():
    import asyncio

    class Heard:
        clock_rate_hz = 0
        dropped_samples = 0

        def __init__(self):
            self.blocks: list[PcmBlock] = []

        def write(self, block):
            self.blocks.append(block)

    config = MediaConfig(ports=PortRange(47800, 47899), capacity=8, placement="worker")
    async with RemoteEngine(config) as engine:
        one, heard = engine.allocate_stream(), Heard()
        engine.monitor(one.handle, heard)
        engine.play(one.handle, ToneSource(440.0))
        engine.open_stream(one.handle, StreamSpec(("127.0.0.1", one.rtp_port)))
        async with asyncio.timeout(PATIENCE):
            while len(heard.blocks) < 20:  # noqa: ASYNC110 (blocks are counted)
                await asyncio.sleep(0.02)
        pcm = np.concatenate([block.pcm for block in heard.blocks[-10:]])
        assert tone_level(pcm, 440.0, 8000) > -20.0
        engine.monitor(one.handle, None)
