"""The ring between the media loop and an application."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softphone.errors import ConfigurationError
from softphone.media import PcmBlock, Sink, Source
from softphone.media.audio import Cadence, PcmRing, ToneGenerator, tone_level


def ramp(count: int, start: int = 0) -> np.ndarray:
    return np.arange(start, start + count, dtype=np.int16)


def block(
    pcm: np.ndarray, *, rate: int = 8000, timestamp: int = 0, generation: int = 0
) -> PcmBlock:
    return PcmBlock(pcm, rate, timestamp, generation)


def test_it_is_a_source_and_a_sink() -> None:
    ring = PcmRing()
    assert isinstance(ring, Source)
    assert isinstance(ring, Sink)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 250)), max_size=60))
def test_samples_come_out_as_they_went_in_less_the_oldest(steps: list[tuple[bool, int]]) -> None:
    ring = PcmRing(8000, seconds=0.02)
    model: list[int] = []
    sent = dropped = taken = 0
    for putting, size in steps:
        if putting:
            ring.write_samples(ramp(size, sent))
            model += range(sent, sent + size)
            sent += size
            dropped += max(len(model) - 160, 0)
            model = model[-160:]
        else:
            got = ring.read(size).tolist()
            assert got == model[:size]
            taken += len(got)
            model = model[size:]
        assert len(ring) == len(model)
        assert ring.dropped_samples == dropped
        assert ring.timestamp == taken + dropped


def test_what_was_read_is_not_changed_by_what_comes_later() -> None:
    ring = PcmRing(8000, seconds=0.02)
    ring.write_samples(ramp(160))
    kept = ring.read(100)
    ring.write_samples(np.full(160, -1, dtype=np.int16))
    assert kept.tolist() == list(range(100))


async def test_a_reader_waits_until_there_is_enough() -> None:
    ring = PcmRing()
    reading = asyncio.create_task(ring.read_exactly(320))
    await asyncio.sleep(0)
    ring.write(block(ramp(160)))
    await asyncio.sleep(0)
    assert not reading.done()
    ring.write(block(ramp(160, 160)))
    assert (await reading).tolist() == list(range(320))


async def test_a_waiting_reader_gets_the_rest_when_the_ring_is_closed() -> None:
    ring = PcmRing()
    reading = asyncio.create_task(ring.read_exactly(320))
    await asyncio.sleep(0)
    ring.write(block(ramp(100)))
    ring.close()
    assert (await reading).size == 100
    assert (await ring.read_exactly(320)).size == 0
    assert ring.ended


async def test_a_reader_that_gives_up_leaves_nothing_behind() -> None:
    ring = PcmRing()
    reading = asyncio.create_task(ring.read_exactly(320))
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert not ring._waiters
    ring.write(block(ramp(320)))
    assert (await ring.read_exactly(320)).size == 320


async def test_several_readers_share_what_comes() -> None:
    ring = PcmRing()
    readers = [asyncio.create_task(ring.read_exactly(160)) for _ in range(3)]
    await asyncio.sleep(0)
    ring.write(block(ramp(480)))
    parts = await asyncio.gather(*readers)
    assert np.concatenate(parts).tolist() == list(range(480))


async def test_a_writer_may_wait_until_it_was_played() -> None:
    ring = PcmRing()
    ring.write_samples(ramp(320))
    draining = asyncio.create_task(ring.drain())
    await asyncio.sleep(0)
    ring.read(160)
    await asyncio.sleep(0)
    assert not draining.done()
    ring.read(160)
    await draining


async def test_flushing_wakes_who_waits_for_the_ring_to_drain() -> None:
    ring = PcmRing()
    ring.write_samples(ramp(320))
    draining = asyncio.create_task(ring.drain())
    await asyncio.sleep(0)
    assert ring.flush() == 320
    await draining
    assert ring.dropped_samples == 0
    assert ring.timestamp == 320


async def test_more_than_the_ring_holds_is_never_waited_for() -> None:
    with pytest.raises(ConfigurationError, match="do not fit"):
        await PcmRing(8000, seconds=0.02).read_exactly(161)


def test_blocks_of_another_rate_are_converted() -> None:
    ring = PcmRing(16_000)
    tone = ToneGenerator(Cadence((1000.0,)), 8000)
    for number in range(50):
        ring.write(block(tone.generate(160), timestamp=160 * number))
    pcm = ring.read(16_000)
    assert 15_900 <= pcm.size <= 16_000
    assert tone_level(pcm[1000:], 1000.0, 16_000) == pytest.approx(-13.0, abs=0.1)


def test_a_newer_security_generation_drops_what_is_older() -> None:
    ring = PcmRing()
    ring.write(block(ramp(160), generation=1))
    ring.write(block(ramp(160, 1000), generation=2))
    assert ring.read(1000).tolist() == list(range(1000, 1160))
    assert ring.dropped_samples == 160


def test_a_block_of_an_older_generation_is_dropped() -> None:
    ring = PcmRing()
    ring.write(block(ramp(10), generation=2))
    ring.write(block(ramp(160), generation=1))
    assert len(ring) == 10
    assert ring.dropped_samples == 160


def test_what_is_sent_after_closing_is_dropped() -> None:
    ring = PcmRing()
    ring.write_samples(ramp(10))
    ring.close()
    ring.write_samples(ramp(160))
    assert not ring.ended
    assert ring.read(1000).size == 10
    assert ring.ended
    assert ring.dropped_samples == 160


@pytest.mark.parametrize(
    "pcm", [np.zeros(4), np.zeros((2, 2), dtype=np.int16), np.zeros(4, dtype=np.int32)]
)
def test_only_samples_are_taken(pcm: np.ndarray) -> None:
    with pytest.raises(ConfigurationError, match="int16"):
        PcmRing().write_samples(pcm)


@pytest.mark.parametrize(("rate", "seconds"), [(100, 1.0), (8000, 0.0), (8000, 1e9)])
def test_a_ring_without_sense_is_refused(rate: int, seconds: float) -> None:
    with pytest.raises(ConfigurationError, match="ring"):
        PcmRing(rate, seconds=seconds)
