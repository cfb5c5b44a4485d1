"""Received audio for an application: chunks at its rate, with media time and capture time.

A `PcmInput` is a `Sink` with a bounded queue.  When the application does not read, the oldest
chunks are dropped and counted, and the timestamps of the next ones show the gap.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from softphone.errors import ConfigurationError
from softphone.fast_dataclass import fast_init
from softphone.media.audio.block_batch import (
    BatchSink,
    BlockBatch,
    BlockQueue,
    QueueCursor,
    QueueReader,
    converted_time,
)
from softphone.media.audio.pcm_output import check_rate
from softphone.media.audio.resample import ConvertingSink, Resampler
from softphone.media.audio.waiters import Waiters
from softphone.media.interface import Pcm, PcmBlock


@fast_init
@dataclass(frozen=True, slots=True)
class ReceivedAudio:
    """A chunk of the far end's sound, int16[n]; `bytes(heard)` gives its octets.

    `timestamp` is the media time of its first sample, in samples; it advances over gaps.
    `captured` is when the far end captured that sample, in seconds since 1970: by the far end's
    clock from its RTCP (`captured_by` "rtcp"), or by our clock, transit included ("arrival").
    `concealed`: some samples are concealment of lost packets.  `events_before` is how many of the
    call's events came before it, where `Call.stream` orders both.
    """

    pcm: Pcm
    clock_rate_hz: int
    timestamp: int
    captured: float
    captured_by: str
    concealed: bool = False
    events_before: int = 0

    def __len__(self) -> int:
        return self.pcm.size

    def __bytes__(self) -> bytes:
        return self.pcm.tobytes()

    @property
    def seconds(self) -> float:
        """The duration in seconds."""
        return self.pcm.size / self.clock_rate_hz

    def cut(self, samples: int) -> tuple[ReceivedAudio, ReceivedAudio]:
        """Split the chunk into its first `samples` and the rest."""
        later = self.captured + samples / self.clock_rate_hz
        rest = replace(
            self, pcm=self.pcm[samples:], timestamp=self.timestamp + samples, captured=later
        )
        return replace(self, pcm=self.pcm[:samples]), rest


class PcmInput(ConvertingSink, BatchSink, QueueReader):
    """Queues the far end's sound at `clock_rate_hz` for an application: the last `seconds`, in
    whole blocks.

    For one event loop.  Raises ConfigurationError for a rate other than 8,000, 16,000, 24,000 or
    48,000 Hz, or `seconds` outside 0.1 to 600.
    """

    def __init__(self, clock_rate_hz: int = 16000, *, seconds: float = 2.0) -> None:
        self.clock_rate_hz = check_rate(clock_rate_hz)
        """The sample rate of the chunks in Hz."""
        if not 0.1 <= seconds <= 600.0:
            raise ConfigurationError(f"a ring of {seconds:g} s is outside 0.1 to 600 s")
        self._most = round(seconds * clock_rate_hz)
        self._chunks: deque[ReceivedAudio | tuple[BlockBatch, int]] = deque()
        # Those in `_chunks`; newer ones wait behind `_cursor`.
        self._waiting = 0
        self._dropped = 0
        self._cursor: QueueCursor | None = None
        self._generation = 0
        self._closed = False
        self._converter: Resampler | None = None
        self._unseen: tuple[BlockBatch, int] | None = None
        self._count_events: Callable[[], int] | None = None
        self._events_before: int | None = None
        self._lag = 0.0
        self._position = 0
        self._waiters = Waiters()
        self._wanted = 0

    @property
    def waiting_samples(self) -> int:
        """Samples that can be read without waiting."""
        cursor = self._cursor
        if cursor is None:
            return self._waiting
        queue = cursor.queue
        waiting = self._waiting + (queue.written - cursor.next) * queue.samples
        if waiting <= self._most:
            return waiting
        self._fetch(cursor)
        return self._waiting

    @property
    def dropped_samples(self) -> int:
        """Samples dropped unread: the queue was full, or their security generation was older."""
        self.drop_excess()
        return self._dropped

    @dropped_samples.setter
    def dropped_samples(self, samples: int) -> None:
        self._dropped = samples

    # For the media loop -------------------------------------------------------------------------

    def read_from(self, queue: BlockQueue, at: int) -> bool:
        """Read stream `at` of `queue` from now on, if its blocks need only be kept.

        :meta private:
        """
        cursor, converter = self._cursor, self._converter
        if cursor is not None and cursor.queue is queue:
            return cursor.at == at
        if (
            type(self) is not PcmInput
            or self._closed
            or self._count_events is not None
            or queue.generations[at] != self._generation
            or queue.clock_rate_hz != self.clock_rate_hz
            or (converter is not None and not converter.passes)
        ):
            return False
        self.leave_queue()
        self._cursor = queue.add_reader(self, at, self._most)
        if self._wanted:
            self._ask(queue, max(self._wanted - self._waiting, 1))
        return True

    def note_frames(self, queue: BlockQueue) -> None:
        """Wake who waits for what the queue has now.

        :meta private:
        """
        if self._wanted:
            lacking = self._wanted - self.waiting_samples
            if lacking > 0:
                self._ask(queue, lacking)
            else:
                self._wanted = 0
                self._waiters.wake()

    def _ask(self, queue: BlockQueue, lacking: int) -> None:
        """Ask to be told when there are so many samples more, one at least."""
        queue.call_at(self, queue.written + (-(-lacking // queue.samples)))

    def drop_excess(self) -> None:
        """Drop the oldest blocks that are more than `seconds`.

        :meta private:
        """
        if self._cursor is not None and self.waiting_samples >= self._most:
            self._fetch(self._cursor)

    def _fetch(self, cursor: QueueCursor) -> None:
        """Keep here what waits in the shared queue."""
        queue = cursor.queue
        for batch in cursor.take_batches():
            self._chunks.append((batch, cursor.at))
            self._waiting += batch.samples
        self._drop_to(self._most)
        queue.unread[self] = cursor.next - self._waiting // queue.samples

    def leave_queue(self) -> None:
        """Keep here what waits in the shared queue, and take further blocks from the writer.

        :meta private:
        """
        cursor = self._cursor
        if cursor is None:
            return
        self._fetch(cursor)
        last = cursor.last_batch
        if last is not None:
            self._unseen = last, cursor.at
        cursor.queue.remove_reader(self)
        self._cursor = None

    def take_block(self, batch: BlockBatch, at: int) -> None:
        """Queue block `at` of a batch, as `write` does.

        :meta private:
        """
        if self._cursor is not None:
            self.leave_queue()
        converter = self._converter
        if (
            batch.security_generation[at] != self._generation
            or batch.clock_rate_hz != self.clock_rate_hz
            or (converter is not None and not converter.passes)
            or self._closed
        ):
            self.write(batch.block(at))
            return
        self._unseen = entry = batch, at
        self._queue(entry, batch.samples)

    def take_converted(self, batch: BlockBatch, at: int) -> None:
        """Queue block `at` of a batch that its converter has converted.

        :meta private:
        """
        if self._cursor is not None:
            self.leave_queue()
        if self._closed:
            return
        if batch.security_generation[at] != self._generation:
            self._dropped += batch.samples
            return
        self._queue((batch, at), batch.samples)

    def converter_for(self, security_generation: int) -> Resampler | None:
        """Return the converter of what is written, if it holds no sound of another generation.

        :meta private:
        """
        fits = security_generation == self._generation and not self._closed
        return self._converter if fits else None

    def _queue(self, chunk: ReceivedAudio | tuple[BlockBatch, int], samples: int) -> None:
        if self._count_events is not None:
            kept = self._events_before
            events = self._count_events() if kept is None else kept
            chunk = replace(self._made(chunk), events_before=events)
        self._chunks.append(chunk)
        self._waiting += samples
        if self._waiting > self._most:
            self._drop_to(self._most)
        if self._wanted and self._waiting >= self._wanted:
            self._wake()

    def _see_blocks(self) -> None:
        """Feed the last block of `take_block` to the converter, which may have to continue it."""
        if self._unseen is not None:
            (batch, at), self._unseen = self._unseen, None
            if self._converter is None:
                self._converter = Resampler(self.clock_rate_hz, self.clock_rate_hz)
            self._converter.feed(batch.pcm[at])

    def write(self, block: PcmBlock, *, events_before: int | None = None) -> None:
        """Queue a block; one of a newer security generation first drops all older sound.

        `events_before` is the number of a block that was kept; None: as many as there were by now.
        """
        self._events_before = events_before
        converter = self.prepare(block)
        if converter is not None:
            self.write_converted(block, converter.feed(block.pcm))
        self._events_before = None

    def prepare(self, block: PcmBlock) -> Resampler | None:
        """Return the converter for a block; None: the block is dropped."""
        if self._cursor is not None:
            self.leave_queue()
        if self._closed:
            return None
        self._see_blocks()
        if block.security_generation < self._generation:
            self._dropped += block.pcm.size * self.clock_rate_hz // block.clock_rate_hz
            return None
        if block.security_generation > self._generation:
            self._generation = block.security_generation
            self._converter = None
            self._drop_to(0)
        converter = self._converter
        if converter is None:
            converter = self._converter = Resampler(block.clock_rate_hz, self.clock_rate_hz)
        elif converter.source_rate_hz != block.clock_rate_hz:
            converter = converter.next_rates(block.clock_rate_hz, self.clock_rate_hz)
            self._converter = converter
        self._lag = converter.lag
        return converter

    def write_converted(self, block: PcmBlock, pcm: Pcm) -> None:
        """Queue the prepared block, converted to `pcm`."""
        if not pcm.size:
            return
        rate = self.clock_rate_hz
        chunk = ReceivedAudio(
            pcm,
            rate,
            converted_time(block.timestamp, block.clock_rate_hz, rate, self._lag),
            block.captured - self._lag if block.captured else 0.0,
            "rtcp" if block.captured_by_sender else "arrival",
            block.concealed,
        )
        self._queue(chunk, pcm.size)

    def _drop_to(self, samples: int) -> None:
        """Drop the oldest chunks, as long as `samples` are left."""
        while self._chunks:
            oldest = self._chunks[0]
            size = oldest[0].samples if isinstance(oldest, tuple) else len(oldest)
            if self._waiting - size < samples:
                break
            self._chunks.popleft()
            self._waiting -= size
            self._dropped += size

    def _wake(self) -> None:
        self._wanted = 0
        self._waiters.wake()

    # For the application ------------------------------------------------------------------------

    async def read(self, samples: int | None = None) -> ReceivedAudio:
        """Wait for the next chunk, or for exactly `samples`.

        Returns fewer samples only at the end of the call, and none after it.  Raises
        ConfigurationError for more than the queue can hold.
        """
        if samples is not None and not 0 < samples <= self._most:
            raise ConfigurationError(f"{samples} samples do not fit into {self._most}")
        wanted = 1 if samples is None else samples
        while (lacking := wanted - self.waiting_samples) > 0 and not self._closed:
            # Woken when there is enough for the reader that asked for the fewest samples.
            if not 0 < self._wanted <= wanted:
                self._wanted = wanted
            if self._cursor is not None:
                self._ask(self._cursor.queue, lacking)
            await self._waiters.wait()
        cursor = self._cursor
        if cursor is not None:
            size = cursor.queue.samples
            frames, rest = (1, 0) if samples is None else (samples // size, samples % size)
            if not (self._chunks or rest):
                return self._read_queue(cursor, frames)
            self._fetch(cursor)
        if not self._chunks:
            return ReceivedAudio(
                np.zeros(0, dtype=np.int16), self.clock_rate_hz, self._position, 0.0, "arrival"
            )
        return self._pop_chunk() if samples is None else self._join(samples)

    def order_by(self, count_events: Callable[[], int]) -> None:
        """Note with each chunk from now on how many events of the call came before it.

        Chunks that are queued already come after all events so far.
        """
        if self._count_events is None:
            self.leave_queue()
            events = count_events()
            waiting = [self._made(chunk) for chunk in self._chunks]
            self._chunks = deque(replace(chunk, events_before=events) for chunk in waiting)
            self._count_events = count_events

    @property
    def next_events_before(self) -> int | None:
        """The `events_before` of the chunk that is read next; None while there is none."""
        self.leave_queue()
        return self._made(self._chunks[0]).events_before if self._chunks else None

    def take_chunk(self) -> ReceivedAudio:
        """Return the next chunk without waiting.  Raises IndexError without one."""
        self.leave_queue()
        return self._pop_chunk()

    def add_waiter(self, waiter: asyncio.Future[None]) -> None:
        """Resolve a future at the next chunk or the end; it may be registered elsewhere, too."""
        self._wanted = 1
        if self._cursor is not None:
            self._ask(self._cursor.queue, 1)
        self._waiters.add_waiter(waiter)

    def remove_waiter(self, waiter: asyncio.Future[None]) -> None:
        """Forget a future; an unknown one is ignored."""
        self._waiters.remove_waiter(waiter)

    def _made(self, chunk: ReceivedAudio | tuple[BlockBatch, int]) -> ReceivedAudio:
        if not isinstance(chunk, tuple):
            return chunk
        batch, at = chunk
        return ReceivedAudio(
            batch.pcm[at],
            self.clock_rate_hz,
            batch.timestamp[at],
            batch.captured.item(at),
            "rtcp" if batch.captured_by_sender[at] else "arrival",
            batch.concealed.item(at),
        )

    def _read_queue(self, cursor: QueueCursor, frames: int) -> ReceivedAudio:
        """Read so many frames of the shared queue; times are those of the first one."""
        pcm, begin, self._position, captured, by_sender, concealed = cursor.read(frames)
        cursor.queue.unread[self], self._unseen = cursor.next, None
        captured_by = "rtcp" if by_sender else "arrival"
        return ReceivedAudio(pcm, self.clock_rate_hz, begin, captured, captured_by, concealed)

    def _pop_chunk(self) -> ReceivedAudio:
        heard = self._made(self._chunks.popleft())
        self._waiting -= heard.pcm.size
        self._position = heard.timestamp + heard.pcm.size
        return heard

    def _join(self, samples: int) -> ReceivedAudio:
        """Join chunks to `samples` or all there are; times are those of the first chunk."""
        first = last = self._pop_chunk()
        parts, lacking, concealed = [first.pcm], samples - first.pcm.size, first.concealed
        chunks = self._chunks
        while lacking > 0 and chunks:
            chunk = chunks[0]
            if isinstance(chunk, tuple) and len(chunks) > 1 and chunk[0].samples < lacking:
                # Of inner chunks, which are most, only the samples matter: no `ReceivedAudio` is
                # made.
                batch, at = chunk
                chunks.popleft()
                pcm, hidden = batch.pcm[at], batch.concealed.item(at)
                self._waiting -= pcm.size
            else:
                last = self._pop_chunk()
                pcm, hidden = last.pcm, last.concealed
            parts.append(pcm)
            lacking -= pcm.size
            concealed |= hidden
        if lacking < 0:
            last, rest = last.cut(last.pcm.size + lacking)
            parts[-1] = last.pcm
            chunks.appendleft(rest)
            self._waiting += rest.pcm.size
            self._position = rest.timestamp
        return ReceivedAudio(
            np.concatenate(parts),
            self.clock_rate_hz,
            first.timestamp,
            first.captured,
            first.captured_by,
            concealed,
            first.events_before,
        )

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ReceivedAudio:
        heard = await self.read()
        if not len(heard):
            raise StopAsyncIteration
        return heard

    def close(self) -> None:
        """End the input; queued chunks can still be read."""
        self.leave_queue()
        # Nothing continues the last block, which keeps the frames of many streams in memory.
        self._closed, self._unseen = True, None
        self._waiters.wake()
