"""What sinks read from the queue of many streams is what they hear if each is written to alone."""

from __future__ import annotations

import asyncio
import gc
import random
import weakref
from typing import Final

import numpy as np
import pytest

from softphone.media import Sink
from softphone.media.audio import PcmInput
from softphone.media.audio.block_batch import MOST_FRAMES, BlockBatch, BlockQueue
from softphone.media.audio.fan_out import BatchWriter, TeeSink
from tests.media.audio.test_block_batch import heard_by

STREAMS = 7
EXTRA = 3
"""Sinks that a stream has besides its own, in a `TeeSink`: of streams 0, 1 and 2."""
SIZES: Final = (None, 160, 320, 800, 1600, 100, 333, 1000)


class Side:
    """The sinks of one side, and what their tasks have read."""

    def __init__(self, seconds: list[float]) -> None:
        self.sinks = [PcmInput(8000, seconds=each) for each in seconds]
        self.writer = BatchWriter([], 8000)
        self.readings: list[asyncio.Task[tuple[object, ...]]] = []

    def outlets(self, members: list[int]) -> list[Sink]:
        """The sinks of the streams: the last two streams have one and the same."""
        found: list[Sink] = []
        for at in members:
            own = self.sinks[min(at, STREAMS - 2)]
            found.append(TeeSink(own, self.sinks[STREAMS + at]) if at < EXTRA else own)
        return found


class Life:
    """Streams whose sinks read from a queue on one side, and are written to on the other."""

    def __init__(self, seed: int) -> None:
        self.chance, self.noise = random.Random(seed), np.random.default_rng(seed)
        seconds = [self.chance.choice((0.1, 0.3, 2.0)) for _ in range(STREAMS + EXTRA)]
        self.queued, self.alone = self.sides = Side(seconds), Side(seconds)
        self.rate, self.time, self.events = 8000, 0, 0
        self.generations = [0] * STREAMS
        self.opened = [self.chance.randrange(5) for _ in range(STREAMS)]
        self.members = list(range(STREAMS))
        self.make_plan()

    def make_plan(self) -> None:
        """Make queue and writers anew, as after a command to a stream."""
        generations = [self.generations[at] for at in self.members]
        opened = [self.opened[at] for at in self.members]
        self.queue = BlockQueue(self.rate, self.rate // 50, opened, generations)
        queued, alone = (side.outlets(self.members) for side in self.sides)
        self.queued.writer = BatchWriter(queued, self.rate, self.queue)
        self.alone.writer = BatchWriter(alone, self.rate)

    def write(self) -> None:
        """Write a frame to both sides."""
        queue, samples, streams = self.queue, self.rate // 50, len(self.members)
        page, place = queue.next_place()
        page.pcm[place] = self.noise.integers(-20000, 20000, (streams, samples))
        page.concealed[place] = self.noise.random(streams) < 0.1
        captured = np.where(self.noise.random(streams) < 0.3, 0.0, self.noise.random(streams) * 1e9)
        page.captured[place] = captured
        page.captured_by_sender[place] = self.noise.random(streams) < 0.5
        batch = BlockBatch(
            page.pcm[place].copy(),
            self.rate,
            [(self.time - self.opened[at]) * samples for at in self.members],
            list(queue.generations),
            page.concealed[place].copy(),
            page.captured[place].copy(),
            page.captured_by_sender[place].copy(),
        )
        assert self.queued.writer.write_next(queue, self.time) == []
        assert self.alone.writer.write_batch(batch) == []
        self.time += 1

    def happen(self) -> None:
        """Something may happen."""
        event = self.chance.choice(("plan", "key", "members", "sink", "skip", *["nothing"] * 15))
        at = self.chance.randrange(STREAMS)
        if event == "key":
            self.generations[at] += self.chance.choice((1, 1, -1))
            self.make_plan()
        elif event == "members":
            self.members = self.chance.sample(range(STREAMS), self.chance.randrange(1, STREAMS + 1))
            self.rate = self.chance.choice((8000, 8000, 8000, 16000))
            self.make_plan()
        elif event == "plan":
            self.make_plan()
        elif event == "skip":
            self.time += self.chance.randrange(1, 70)
        elif event == "sink":
            self.use_sink(self.chance.randrange(STREAMS + EXTRA))

    def use_sink(self, at: int) -> None:
        """Do to a sink what is not reading."""
        event = self.chance.choice(("close", "order", "waiter", "take", "write", "next", "drop"))
        noise = self.noise.integers(-9, 9, 160, dtype=np.int16)
        for side in self.sides:
            sink = side.sinks[at]
            if event == "close" and self.chance.random() < 0.2:
                self.alone.sinks[at].close()
                self.queued.sinks[at].close()
            elif event == "order" and at == 1:
                sink.order_by(lambda: self.events)
            elif event == "waiter":
                waiter: asyncio.Future[tuple[object, ...]] = asyncio.Future()
                sink.add_waiter(waiter)
                side.readings.append(waiter)
            elif event == "take" and sink.waiting_samples:
                taken = sink.take_chunk()
                assert taken.pcm.size
            elif event == "write":
                block = BlockBatch(
                    noise[None], 8000, [self.time], [self.generations[at % STREAMS]],
                    np.zeros(1, np.bool_), np.zeros(1), np.zeros(1, np.bool_),
                ).block(0)  # fmt: skip
                sink.write(block)
            elif event == "next":
                assert sink.next_events_before in (None, 0, *range(self.events + 1))
            elif event == "drop":
                sink.dropped_samples += 5

    async def read(self) -> None:
        """Read now and then, or wait until one can."""
        self.events += self.chance.random() < 0.1
        for one, other in zip(self.queued.sinks, self.alone.sinks, strict=True):
            samples = self.chance.choice(SIZES)
            assert one.waiting_samples == other.waiting_samples
            if (samples or 1) <= 0.1 * 8000 and self.chance.random() < 0.3:
                for side, sink in zip(self.sides, (one, other), strict=True):
                    side.readings.append(asyncio.ensure_future(heard_by(sink, samples)))
        for _ in range(4):
            await asyncio.sleep(0)
        ready = [[each.done() for each in side.readings] for side in self.sides]
        assert ready[0] == ready[1]
        assert self.finished(self.queued) == self.finished(self.alone)

    def finished(self, side: Side) -> list[tuple[object, ...]]:
        """What the tasks have read that are done; they are forgotten."""
        done = [each.result() for each in side.readings if each.done()]
        side.readings = [each for each in side.readings if not each.done()]
        return done

    def check_drops(self) -> None:
        """Samples are dropped and counted alike."""
        for one, other in zip(self.queued.sinks, self.alone.sinks, strict=True):
            assert one.dropped_samples == other.dropped_samples


@pytest.mark.parametrize("seed", range(30))
async def test_sinks_read_from_a_queue_what_is_written_to_them_alone(seed):
    life = Life(seed)
    for frame in range(400):
        life.happen()
        life.write()
        if frame % 60 > 20 or frame % 3 == 0:
            await life.read()
        if frame % 37 == 0:
            life.check_drops()
    life.check_drops()
    for side in life.sides:
        for reading in side.readings:
            reading.cancel()


def filled(sinks: list[Sink], frames: int) -> tuple[BlockQueue, BatchWriter]:
    """A queue of the streams with so many frames of silence, and its writer."""
    queue = BlockQueue(8000, 160, [0] * len(sinks), [0] * len(sinks))
    writer = BatchWriter(sinks, 8000, queue)
    for frame in range(frames):
        assert write_silence(queue, writer, frame) == []
    return queue, writer


def write_silence(queue: BlockQueue, writer: BatchWriter, frame: int) -> list[int]:
    page, place = queue.next_place()
    for array in (page.pcm, page.concealed, page.captured, page.captured_by_sender):
        array[place] = 0
    return writer.write_next(queue, frame)


class Unwilling:
    """A waiter whose event loop is closed."""

    def done(self) -> bool:
        return False

    def set_result(self, result: None) -> None:
        raise RuntimeError("Event loop is closed")


def test_a_reader_that_cannot_be_woken_is_named_or_taken_off_its_fan(caplog):
    single, one, other = (PcmInput(8000) for _ in range(3))
    fan = TeeSink(one, other)
    queue, writer = filled([single, fan], 3)
    for sink in (single, one):
        sink.add_waiter(Unwilling())
    assert write_silence(queue, writer, 3) == [0]
    assert caplog.text.count("a media sink failed") == 2
    assert fan.sinks == (other,)
    assert write_silence(queue, writer, 4) == []
    assert [sink.waiting_samples for sink in (single, one, other)] == [800, 640, 800]


def test_one_that_was_taken_off_its_fan_elsewhere_stays_where_it_was(caplog):
    gone, other = PcmInput(8000), PcmInput(8000)
    fan = TeeSink(gone, other)
    queue, writer = filled([fan], 2)
    fan.remove_failed(gone)
    other.add_waiter(Unwilling())
    assert write_silence(queue, writer, 2) == []
    assert write_silence(queue, writer, 3) == []
    assert fan.sinks == ()
    assert (gone.waiting_samples, other.waiting_samples) == (480, 480)


async def test_who_reads_each_frame_at_once_keeps_pages_short_and_who_does_not_is_bounded():
    brisk, stuck = PcmInput(8000, seconds=0.5), PcmInput(8000, seconds=0.5)
    queue, writer = filled([brisk], 0)
    for frame in range(20):
        write_silence(queue, writer, frame)
        assert (await brisk.read()).timestamp == 160 * frame
    assert queue.page.size == 1
    queue, writer = filled([brisk, stuck], 100)
    assert queue.page.size == MOST_FRAMES
    assert len(stuck._chunks) <= 25
    assert queue.written - min(queue.unread.values()) <= 25 + 2 * MOST_FRAMES
    assert (stuck.waiting_samples, stuck.dropped_samples) == (4000, 12000)


async def test_what_is_read_is_the_readers_own():
    sink = PcmInput(8000)
    queue, _ = filled([sink], 1)
    heard = await sink.read(160)
    heard.pcm[:] = 7
    assert not queue.page.pcm.any()


async def test_a_reader_leaves_whatever_became_of_the_frame_after_its_last():
    sink = PcmInput(8000)
    queue, writer = filled([sink], 1)
    queue.next_place()
    # Here decoding raises, and so nothing is written.
    sink.close()
    assert len(await sink.read(160)) == 160
    assert write_silence(queue, writer, 2) == []
    assert not len(await sink.read())


def test_a_reader_that_nobody_writes_to_and_nobody_reads_is_freed_at_once():
    sink, other = PcmInput(8000), PcmInput(8000)
    queue, writer = filled([sink, other], 8)
    left = weakref.ref(sink)
    gc.disable()
    try:
        del sink, queue, writer
        assert left() is None
    finally:
        gc.enable()
    assert other.waiting_samples == 8 * 160


async def test_a_closed_reader_that_was_read_to_the_end_keeps_no_frames_of_others():
    sink = PcmInput(8000)
    queue, writer = filled([sink], 4)
    kept = weakref.ref(queue.page.pcm)
    assert len(await sink.read(640)) == 640
    sink.close()
    del queue, writer
    assert kept() is None


async def test_the_end_of_the_call_has_the_media_time_after_its_last_sample():
    sink = PcmInput(8000)
    filled([sink], 3)
    sink.close()
    assert len(await sink.read(800)) == 480
    assert (await sink.read()).timestamp == 480
