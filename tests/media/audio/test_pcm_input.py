from __future__ import annotations

import asyncio

import numpy as np
import pytest

from softphone.errors import ConfigurationError
from softphone.media import PcmBlock
from softphone.media.audio import PcmInput
from softphone.media.audio.pcm_output import RATES
from tests.support.sounds import signal_to_error, sweep

FRAME = 160


def block(number: int, *, rate: int = 8000, generation: int = 0, value: int | None = None):
    size = rate // 50
    pcm = np.full(size, number if value is None else value, dtype=np.int16)
    return PcmBlock(pcm, rate, number * size, generation, False, 1000.0 + 0.02 * number, False)


async def test_a_chunk_is_read_as_it_came_with_its_times():
    heard = PcmInput(8000)
    heard.write(block(3))
    chunk = await heard.read()
    assert (chunk.pcm.tolist(), chunk.clock_rate_hz, chunk.timestamp) == ([3] * FRAME, 8000, 480)
    assert (chunk.captured, chunk.captured_by) == (pytest.approx(1000.06), "arrival")
    assert bytes(chunk) == chunk.pcm.tobytes()
    assert chunk.seconds == 0.02


async def test_exactly_so_many_samples_are_read_over_the_borders_of_chunks():
    heard = PcmInput(8000)
    reading = asyncio.ensure_future(heard.read(400))
    for number in range(3):
        await asyncio.sleep(0)
        assert not reading.done()
        heard.write(block(number))
    first, second = await reading, await heard.read()
    assert first.pcm.tolist() == [0] * 160 + [1] * 160 + [2] * 80
    assert second.pcm.tolist() == [2] * 80
    assert second.timestamp == 400
    assert second.captured == pytest.approx(1000.05)


async def test_who_does_not_read_loses_the_oldest_and_sees_the_gap():
    heard = PcmInput(8000, seconds=0.1)
    for number in range(10):
        heard.write(block(number))
    assert heard.waiting_samples == 800
    assert heard.dropped_samples == 800
    assert (await heard.read()).timestamp == 800


async def test_all_that_fits_can_be_read_though_it_is_no_whole_number_of_blocks():
    heard = PcmInput(8000, seconds=0.15)
    reading = asyncio.ensure_future(heard.read(1200))
    await asyncio.sleep(0)
    for number in range(9):
        heard.write(block(number))
    assert (heard.waiting_samples, heard.dropped_samples) == (1280, 160)
    assert (await reading).timestamp == 160


async def test_media_time_goes_on_over_a_gap():
    heard = PcmInput(16000)
    for number in (0, 1, 2, 50, 51):
        heard.write(block(number))
    stamps = [chunk.timestamp for chunk in [await heard.read() for _ in range(5)]]
    assert stamps[3] == pytest.approx(50 * 320, abs=64)
    assert stamps[4] - stamps[3] == 320


async def test_sound_of_a_level_that_is_left_is_dropped_before_anything_else():
    heard = PcmInput(8000)
    heard.write(block(0))
    heard.write(block(1, generation=1))
    heard.write(block(2))
    assert (await heard.read()).pcm[0] == 1
    assert heard.waiting_samples == 0
    assert heard.dropped_samples == 2 * FRAME


async def test_it_is_an_iterator_that_ends_with_the_call():
    heard = PcmInput(8000)
    heard.write(block(0))
    heard.close()
    heard.write(block(1))
    assert [chunk.pcm[0] async for chunk in heard] == [0]
    assert len(await heard.read()) == 0
    assert len(await heard.read(100)) == 0


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("source", [8000, 16000, 48000])
async def test_a_sweep_comes_out_clean_whatever_the_rates(rate, source):
    """From 100 Hz to 85 % of the lower half rate: at least 70 dB of signal over what is wrong."""
    seconds, top = 2.0, 0.85 * min(rate, source) / 2
    heard = PcmInput(rate, seconds=4.0)
    pcm = sweep(source, seconds, top)
    step = source // 50
    for number in range(int(seconds * 50)):
        part = pcm[number * step : (number + 1) * step].astype(np.int16)
        heard.write(PcmBlock(part, source, number * step, 0))
    chunks = [await heard.read() for _ in range(int(seconds * 50))]
    got = np.concatenate([chunk.pcm for chunk in chunks]).astype(float)
    wanted = sweep(rate, seconds, top)[chunks[0].timestamp :]
    assert got.size > 1.9 * rate
    assert signal_to_error(got, wanted, rate) > 70.0


async def test_more_than_can_wait_is_refused():
    heard = PcmInput(8000, seconds=1.0)
    for samples in (0, 8001):
        with pytest.raises(ConfigurationError):
            await heard.read(samples)
    with pytest.raises(ConfigurationError):
        PcmInput(44100)
