from __future__ import annotations

import asyncio
import os
from itertools import cycle

import numpy as np
import pytest

from softphone.errors import ConfigurationError
from softphone.media.audio import PcmOutput, RingSource, SharedRing, at_rate, check_rate
from softphone.media.audio.pcm_output import RATES
from tests.support.sounds import signal_to_error, sweep


def ramp(count: int, start: int = 0) -> np.ndarray:
    return (np.arange(start, start + count) % 30000).astype(np.int16)


class Inline:
    """The media loop in the same process."""

    def __init__(self, output: PcmOutput) -> None:
        self.output = self.source = output

    def read(self, samples: int) -> np.ndarray:
        return self.output.read(samples)


class Shared(Inline):
    """A worker, that reads shared memory; what it has read is looked at afterwards."""

    def __init__(self, output: PcmOutput) -> None:
        super().__init__(output)
        descriptor = output.share()
        self.ring = SharedRing(descriptor)
        os.close(descriptor)
        self.source = RingSource(self.ring, output.clock_rate_hz)

    def read(self, samples: int) -> np.ndarray:
        pcm = self.source.read(samples)
        self.output.update_marks()
        return pcm


placements = pytest.mark.parametrize("placement", [Inline, Shared])


@placements
@pytest.mark.parametrize("rate", RATES)
async def test_pieces_of_any_size_come_out_as_one(placement, rate):
    output = PcmOutput(rate)
    reader = placement(output)
    pcm, at = ramp(rate), 0
    sizes = [1, 7, 160, 333, 4000, 2]
    while at < pcm.size:
        size = sizes[at % len(sizes)]
        await output.write(pcm[at : at + size])
        at += size
    got = [reader.read(rate // 50) for _ in range(50)]
    assert np.array_equal(np.concatenate(got), pcm)
    assert reader.read(100).size == 0


@placements
async def test_octets_may_be_cut_in_the_middle_of_a_sample(placement):
    output = PcmOutput(8000)
    reader = placement(output)
    octets = ramp(100).tobytes()
    for at in range(0, len(octets), 3):
        await output.write(octets[at : at + 3])
    assert np.array_equal(reader.read(200), ramp(100))


@placements
async def test_what_was_written_before_is_still_there_when_it_is_shared(placement):
    output = PcmOutput(8000)
    await output.write(ramp(500))
    assert output.read(100).size == 100
    mark = output.mark()
    reader = placement(output)
    assert np.array_equal(reader.read(1000), ramp(400, 100))
    reader.read(160)
    assert await mark.played()


@placements
async def test_flush_leaves_nothing_and_tells_how_much_that_was(placement):
    output = PcmOutput(8000)
    reader = placement(output)
    await output.write(ramp(1000))
    assert reader.read(160).size == 160
    assert output.flush() == 840
    assert output.flushed_samples == 840
    assert reader.read(160).size == 0
    await output.write(ramp(50, 7))
    assert np.array_equal(reader.read(160), ramp(50, 7))
    assert output.flush() == 0


@placements
async def test_a_mark_is_told_after_the_frame_that_holds_its_last_sample_was_sent(placement):
    output = PcmOutput(8000)
    reader = placement(output)
    await output.write(ramp(400))
    mark = output.mark()
    await output.write(ramp(400))
    later = output.mark()
    for _ in range(3):
        reader.read(160)
        assert not mark.done
    reader.read(160)
    assert mark.done
    assert not later.done
    for _ in range(3):
        reader.read(160)
    assert await later.played()


@placements
async def test_marks_behind_what_is_flushed_are_told_and_those_before_it_are_kept(placement):
    output = PcmOutput(8000)
    reader = placement(output)
    await output.write(ramp(160))
    spoken = output.mark()
    await output.write(ramp(1000))
    unspoken = output.mark()
    reader.read(160)
    output.flush()
    assert not await unspoken.played()
    assert not spoken.done
    reader.read(160)
    assert await spoken.played()


async def test_marks_are_told_at_the_end_of_the_call():
    output = PcmOutput(8000)
    await output.write(ramp(1000))
    mark = output.mark()
    output.close(ended=True)
    assert not await mark.played()
    assert not await output.mark().played()


@placements
async def test_who_writes_more_than_fits_waits_until_it_was_read(placement):
    output = PcmOutput(8000, seconds=0.1)
    reader = placement(output)
    writing = asyncio.ensure_future(output.write(ramp(2000)))
    await asyncio.sleep(0)
    assert not writing.done()
    assert output.waiting_samples == 800
    got = []
    while not writing.done():
        got.append(reader.read(160))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    got.append(reader.read(800))
    assert np.array_equal(np.concatenate(got), ramp(2000))


async def test_a_writer_that_waits_does_not_outlast_the_call():
    output = PcmOutput(8000, seconds=0.1)
    writing = asyncio.ensure_future(output.write(ramp(2000)))
    await asyncio.sleep(0)
    output.close(ended=True)
    await writing
    assert output.flushed_samples == 1200
    assert not output.ended
    output.read(800)
    assert output.ended


@placements
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("wire", [8000, 16000, 48000])
async def test_a_sweep_in_pieces_of_any_size_goes_out_clean_whatever_the_rates(
    placement, rate, wire
):
    """From 100 Hz to 85 % of the lower half rate: at least 70 dB of signal over what is wrong."""
    seconds, top = 2.0, 0.85 * min(rate, wire) / 2
    output = PcmOutput(rate)
    source = at_rate(placement(output).source, wire)
    pcm, sizes, at = sweep(rate, seconds, top).astype(np.int16), cycle((1, 7, 160, 333, 4000)), 0
    while at < pcm.size:
        size = next(sizes)
        await output.write(pcm[at : at + size])
        at += size
    got = np.concatenate([source.read(wire // 50) for _ in range(int(seconds * 50))]).astype(float)
    assert got.size > 1.9 * wire
    assert signal_to_error(got, sweep(wire, seconds, top), wire) > 70.0


async def test_the_end_of_a_phrase_is_not_held_back_by_the_conversion():
    """A gap follows: what the filter holds comes out before it, not with the next phrase."""
    output = PcmOutput(24000)
    source = at_rate(output, 8000)
    sound = (8000 * np.sin(np.arange(24000 // 10) * 2 * np.pi * 440 / 24000)).astype(np.int16)
    await output.write(sound)
    got = [source.read(160) for _ in range(8)]
    assert sum(frame.size for frame in got) >= 800
    assert got[-1].size == 0
    await output.write(np.zeros(480, dtype=np.int16))
    assert np.abs(source.read(160)).max() <= 1


@pytest.mark.parametrize("rate", [0, 11025, 44100, 96000])
def test_another_rate_is_refused(rate):
    with pytest.raises(ConfigurationError, match="8,000"):
        check_rate(rate)


async def test_what_is_no_sound_is_refused():
    output = PcmOutput()
    with pytest.raises(ConfigurationError):
        await output.write(np.zeros(10))
    with pytest.raises(ConfigurationError):
        PcmOutput(seconds=0.0)


@pytest.mark.parametrize("shared", [False, True])
async def test_what_a_conversion_holds_is_flushed_with_the_rest(shared):
    said = PcmOutput(24_000)
    if shared:
        os.close(said.share())
    source = at_rate(said, 8000)
    loud = np.full(24_000, 9000, dtype=np.int16)
    await said.write(loud)
    assert np.abs(source.read(160)[40:]).min() > 8000
    assert said.flush() > 20_000
    assert source.read(160).size == 0
    # It is begun anew: what is written now has nothing of what was before it.
    await said.write(np.zeros(2400, dtype=np.int16))
    assert not source.read(160).any()
    # What waited for its last samples is gone, too, where nothing else waited.
    await said.write(loud[:480])
    source.read(160)
    said.flush()
    assert source.read(160).size == 0


@placements
async def test_a_write_with_a_lead_takes_as_long_as_its_sound(placement):
    output = PcmOutput(8000)
    reader = placement(output)
    pcm = ramp(1600)
    writing = asyncio.ensure_future(output.write(pcm, lead=0.04))
    got = []
    for read in range(10):
        await asyncio.sleep(0)
        assert writing.done() is (read >= 8)  # all but the lead has been read
        assert output.waiting_samples <= 320
        got.append(reader.read(160))
    await writing
    assert np.array_equal(np.concatenate(got), pcm)
    assert output.flush() == 0


@placements
async def test_a_flush_drops_what_a_write_with_a_lead_still_holds(placement):
    output = PcmOutput(8000)
    reader = placement(output)
    writing = asyncio.ensure_future(output.write(ramp(1600), lead=0.04))
    await asyncio.sleep(0)
    assert reader.read(160).size == 160
    assert output.flush() == 1440
    assert output.flush() == 0
    await asyncio.wait_for(writing, 1)
    assert output.flushed_samples == 1440
    assert reader.read(160).size == 0
    await output.write(ramp(100), lead=0.04)
    assert np.array_equal(reader.read(160), ramp(100))


async def test_a_canceled_write_leaves_no_more_than_the_lead():
    output = PcmOutput(8000)
    writing = asyncio.ensure_future(output.write(ramp(8000), lead=0.06))
    await asyncio.sleep(0)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    assert output.flush() == 480


async def test_a_write_with_a_lead_ends_with_the_call():
    output = PcmOutput(8000)
    writing = asyncio.ensure_future(output.write(ramp(8000), lead=0.06))
    await asyncio.sleep(0)
    output.close(ended=True)
    await asyncio.wait_for(writing, 1)
    assert output.flushed_samples == 8000 - 480


@pytest.mark.parametrize("lead", [0.0, 0.019, -1.0, 11.0, float("nan")])
async def test_a_lead_of_less_than_a_frame_or_more_than_the_ring_is_refused(lead):
    output = PcmOutput(8000)
    with pytest.raises(ConfigurationError, match="lead"):
        await output.write(ramp(10), lead=lead)
