"""What is written to many sinks as a batch is heard as if it were written block by block."""

from __future__ import annotations

import random

import numpy as np
import pytest

from softphone.errors import ConfigurationError
from softphone.media import PcmBlock, Sink
from softphone.media.audio import PcmInput, PcmRing
from softphone.media.audio.block_batch import BlockBatch, as_batch_sink
from softphone.media.audio.fan_out import BatchWriter, TeeSink
from softphone.media.audio.resample import Resampler, ResamplerGroup, resample_together

STREAMS = 9
RATES = (8000, 16000, 16000, 24000, 16000, 48000, 24000, 8000, 16000)


def batch_of(
    chance: np.random.Generator, rate: int, times: list[int], generations: list[int]
) -> BlockBatch:
    """A block for each stream, of noise."""
    k = len(times)
    return BlockBatch(
        chance.integers(-20000, 20000, (k, rate // 50), dtype=np.int16),
        rate,
        times,
        generations,
        chance.random(k) < 0.2,
        np.where(chance.random(k) < 0.3, 0.0, chance.random(k) * 1e9),
        chance.random(k) < 0.5,
    )


async def heard_by(sink: PcmInput, samples: int | None) -> tuple[object, ...]:
    chunk = await sink.read(samples)
    return (
        chunk.pcm.tolist(),
        chunk.clock_rate_hz,
        chunk.timestamp,
        chunk.captured,
        chunk.captured_by,
        chunk.concealed,
    )


class Life:
    """Streams whose sinks are written to by batches, and by blocks."""

    def __init__(self, seed: int) -> None:
        self.chance, self.noise = random.Random(seed), np.random.default_rng(seed)
        rates = (*RATES, *RATES[::-1])
        self.sinks = [[PcmInput(rate, seconds=0.3) for rate in rates] for _ in range(2)]
        self.times, self.generations, self.rate = [0] * STREAMS, [0] * STREAMS, 8000
        self.choose(list(range(STREAMS)))

    def choose(self, members: list[int]) -> None:
        """Write to these from now on."""
        self.members = members
        self.writer = BatchWriter([self.sink(at) for at in members], self.rate)

    def sink(self, at: int) -> Sink:
        """The sink of a stream; every other one has two."""
        batched = self.sinks[0]
        return batched[at] if at % 2 else TeeSink(batched[at], batched[STREAMS + at])

    def happen(self) -> None:
        """Something may happen."""
        chance, at = self.chance, self.chance.randrange(STREAMS)
        event = chance.choice(("generation", "gap", "rate", "members", "alone", *["nothing"] * 25))
        if event == "generation":
            self.generations[at] += chance.choice((1, 1, -1))
        elif event == "gap":
            self.times[at] += self.rate // 50 * chance.randrange(1, 9)
        elif event == "rate":
            self.rate = chance.choice((8000, 16000, 48000))
            self.times = [each // 160 * 160 * self.rate // 8000 for each in self.times]
            self.choose(self.members)
        elif event == "members":
            self.choose(chance.sample(range(STREAMS), chance.randrange(1, STREAMS + 1)))
        elif event == "alone":
            block = batch_of(self.noise, self.rate, [self.times[at]], [self.generations[at]]).block(
                0
            )
            self.times[at] += self.rate // 50
            for side in self.sinks:
                side[at].write(block)

    def write(self) -> None:
        """Write a frame."""
        times = [self.times[at] for at in self.members]
        generations = [self.generations[at] for at in self.members]
        batch = batch_of(self.noise, self.rate, times, generations)
        assert self.writer.write_batch(batch) == []
        for at, block in zip(self.members, batch.blocks(), strict=True):
            self.sinks[1][at].write(block)
            if not at % 2:
                self.sinks[1][STREAMS + at].write(block)
            self.times[at] += self.rate // 50

    async def read(self) -> None:
        """Read what there is, now and then."""
        for one, other in zip(*self.sinks, strict=True):
            assert one.waiting_samples == other.waiting_samples
            assert one.dropped_samples == other.dropped_samples
            while other.waiting_samples > 400 and self.chance.random() < 0.6:
                samples = self.chance.choice((None, 100, 400))
                assert await heard_by(one, samples) == await heard_by(other, samples)


@pytest.mark.parametrize("seed", range(8))
async def test_batches_and_single_blocks_are_heard_alike_whatever_happens(seed):
    life = Life(seed)
    for frame in range(200):
        life.happen()
        life.write()
        await life.read()
        if frame == 180:
            for side in life.sinks:
                side[4].close()


def test_a_batch_is_the_same_as_its_blocks():
    batch = batch_of(np.random.default_rng(1), 8000, [5, 7], [1, 2])
    for at, block in enumerate(batch.blocks()):
        one = batch.block(at)
        assert np.array_equal(one.pcm, block.pcm)
        assert (one.clock_rate_hz, one.timestamp, one.security_generation) == (
            block.clock_rate_hz, block.timestamp, block.security_generation,
        )  # fmt: skip
        assert (one.concealed, one.captured, one.captured_by_sender) == (
            block.concealed, block.captured, block.captured_by_sender,
        )  # fmt: skip
    assert (batch.samples, [block.timestamp for block in batch.blocks()]) == (160, [5, 7])


def test_sinks_of_all_kinds_are_written_to_and_those_that_fail_are_named(caplog):
    class Broken(PcmInput):
        def take_block(self, batch, at):
            raise OSError("not this")

    class Rude(PcmInput):
        def take_converted(self, batch, at):
            raise OSError("nor this")

        def take_block(self, batch, at):
            super().take_block(batch, at)

    class Sulking(PcmRing):
        def write(self, block):
            raise OSError("nor that")

    sinks = [Broken(8000), PcmInput(8000), Rude(16000), PcmInput(16000), Sulking(8000),
             PcmRing(8000), TeeSink(PcmRing(8000), PcmInput(16000)), PcmInput(16000)]  # fmt: skip
    writer, noise = BatchWriter(sinks, 8000), np.random.default_rng(2)
    batches = [batch_of(noise, 8000, [160 * at] * 8, [0] * 8) for at in range(3)]
    assert sorted(writer.write_batch(batches[0])) == [0, 4]
    assert sorted(writer.write_batch(batches[1])) == [0, 2, 4]
    assert caplog.text.count("a media sink failed") == 5
    assert sinks[1].waiting_samples == len(sinks[5]) == 320
    assert sinks[3].waiting_samples == sinks[7].waiting_samples == 2 * 320 - 48
    assert len(sinks[6].sinks[0]) == 320


def test_one_of_several_sinks_of_a_stream_that_fails_is_taken_off_and_the_others_go_on(caplog):
    class Broken(PcmInput):
        def take_block(self, batch, at):
            raise OSError("not this")

    class Rude(PcmInput):
        def take_converted(self, batch, at):
            raise OSError("nor this")

        def take_block(self, batch, at):
            super().take_block(batch, at)

    class Sulking(PcmRing):
        def write(self, block):
            raise OSError("nor that")

    good = [PcmInput(8000), PcmInput(16000), PcmInput(16000)]
    fans = [TeeSink(Broken(8000), good[0]), TeeSink(good[1], Sulking(8000)),
            TeeSink(Rude(16000), good[2])]  # fmt: skip
    writer, noise = BatchWriter(fans, 8000), np.random.default_rng(2)
    for at in range(6):
        assert writer.write_batch(batch_of(noise, 8000, [160 * at] * 3, [0] * 3)) == []
    assert [fan.sinks for fan in fans] == [(each,) for each in good]
    assert [sink.waiting_samples for sink in good] == [960, 1920 - 48, 1920 - 48]
    assert caplog.text.count("a media sink failed") == 3


async def test_a_reader_is_woken_when_there_is_what_it_waits_for():
    import asyncio

    sink = PcmInput(8000)
    writer, noise = BatchWriter([sink], 8000), np.random.default_rng(2)
    large, small = (asyncio.ensure_future(sink.read(samples)) for samples in (800, 400))
    for at in range(8):
        writer.write_batch(batch_of(noise, 8000, [160 * at], [0]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (small.done(), large.done()) == (at >= 2, at >= 7)
    assert (len(await small), len(await large)) == (400, 800)


async def test_one_that_hears_several_streams_hears_them_in_turn():
    both, alone = PcmInput(16000), PcmInput(16000)
    writer, noise = BatchWriter([both, both], 8000), np.random.default_rng(2)
    for at in range(4):
        batch = batch_of(noise, 8000, [320 * at, 320 * at + 160], [0, 0])
        assert writer.write_batch(batch) == []
        for block in batch.blocks():
            alone.write(block)
    assert np.array_equal((await both.read(2000)).pcm, (await alone.read(2000)).pcm)


def test_closed_sinks_are_written_to_at_another_rate():
    sinks = [PcmInput(8000) for _ in range(3)]
    noise = np.random.default_rng(2)
    for sink in sinks:
        sink.write(batch_of(noise, 8000, [0], [0]).block(0))
        sink.close()
    assert BatchWriter(sinks, 16000).write_batch(batch_of(noise, 16000, [0] * 3, [0] * 3)) == []
    assert [sink.waiting_samples for sink in sinks] == [160] * 3


def test_an_applications_subclass_is_written_to_in_its_own_way():
    class Counting(PcmInput):
        def write_converted(self, block: PcmBlock, pcm: np.ndarray) -> None:
            super().write_converted(block, pcm)

    class Unrelated:
        clock_rate_hz = dropped_samples = 0

        def write(self, block: PcmBlock) -> None:
            """Nothing."""

        def take_block(self) -> None:
            """Something else."""

    assert as_batch_sink(PcmInput()) is not None
    assert as_batch_sink(Counting()) is None
    assert as_batch_sink(Unrelated()) is None


@pytest.mark.parametrize("rates", [(8000, 16000), (48000, 16000), (16000, 24000), (24000, 8000)])
def test_a_group_of_converters_gives_what_each_gives_alone(rates):
    noise = np.random.default_rng(5)
    streams, alone = ([Resampler(*rates) for _ in range(4)] for _ in range(2))
    group = ResamplerGroup(streams)
    for count in range(12):
        frames = noise.integers(-30000, 30000, (4, 240 if count % 5 else 480), dtype=np.int16)
        assert np.array_equal(group.feed(frames), resample_together(alone, list(frames)))
        assert group.lag == alone[0].lag
    one = streams[2].feed(frames[0])
    assert group.dissolved
    assert np.array_equal(one, alone[2].feed(frames[0]))
    for stream, other in zip(streams, alone, strict=True):
        assert (stream.lag, stream.idle) == (other.lag, other.idle)
        assert np.array_equal(stream.feed(frames[1]), other.feed(frames[1]))
    assert np.array_equal(
        streams[0].next_rates(rates[0], 48000).feed(frames[2]),
        alone[0].next_rates(rates[0], 48000).feed(frames[2]),
    )


def test_converters_in_several_states_are_no_group():
    ahead = Resampler(8000, 16000)
    ahead.feed(np.zeros(160, dtype=np.int16))
    for streams in ([Resampler(8000, 16000), ahead], [Resampler(8000, 8000)] * 2):
        with pytest.raises(ConfigurationError):
            ResamplerGroup(streams)
