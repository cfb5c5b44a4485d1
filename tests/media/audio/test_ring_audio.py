"""Samples down to a worker, blocks up from it."""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest

from softphone.media import PcmBlock
from softphone.media.audio import RingSink, RingSource, SharedRing, read_blocks, write_samples

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memfd_create is Linux's")


def ring_of(octets):
    ring, descriptor = SharedRing.create(octets)
    os.close(descriptor)
    return ring


def test_a_source_gives_what_is_there_and_ends_once_it_is_empty():
    ring = ring_of(1000)
    source = RingSource(ring, 16_000)
    write_samples(ring, np.arange(100, dtype=np.int16))
    assert source.clock_rate_hz == 16_000
    assert source.read(60).tolist() == list(range(60))
    ring.mark_ended()
    assert not source.ended
    assert source.read(60).tolist() == list(range(60, 100))
    assert source.ended
    assert source.read(60).size == 0


def test_samples_without_room_are_counted():
    ring = ring_of(100)
    write_samples(ring, np.zeros(80, dtype=np.int16))
    assert ring.dropped == 30
    assert RingSource(ring, 8000).read(80).size == 50


def test_blocks_keep_what_they_say_and_those_without_room_are_counted():
    ring = ring_of(3 * (32 + 320) + 100)
    sink = RingSink(ring, 0)
    blocks = [
        PcmBlock(np.full(160, at, dtype=np.int16), 8000, 160 * at, at // 2, at % 2 == 1)
        for at in range(4)
    ]
    for block in blocks:
        sink.write(block)
    assert sink.dropped_samples == 160
    for block, read in zip(blocks[:3], read_blocks(ring), strict=True):
        assert (read.pcm == block.pcm).all()
        assert read.timestamp == block.timestamp
        assert read.security_generation == block.security_generation
        assert read.concealed is block.concealed
    assert read_blocks(ring) == []
