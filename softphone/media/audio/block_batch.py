"""The blocks that many streams deliver in one frame, as arrays, and the sinks that take them so.

A sink that takes batches keeps a reference to its row of the batch; a `PcmBlock`, or what the
application reads, is made of it only when it is needed.  Most sinks need not even be told: they
read from the queue of all streams, to which a tick writes one frame of each, whatever their number.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol, cast

import numpy as np
import numpy.typing as npt

from softphone.media.audio.resample import Resampler
from softphone.media.interface import PcmBlock, Sink

MOST_FRAMES: Final = 5
"""The most frames of a page."""


@dataclass(slots=True, eq=False)
class BlockBatch:
    """The blocks of k streams, with the fields of `PcmBlock` as arrays.

    `pcm` int16[k, samples], `concealed` bool[k], `captured` float64[k], `captured_by_sender`
    bool[k]; `timestamp` and `security_generation` are lists, because sinks compare single ones.
    """

    pcm: npt.NDArray[np.int16]
    clock_rate_hz: int
    timestamp: list[int]
    security_generation: list[int]
    concealed: npt.NDArray[np.bool_]
    captured: npt.NDArray[np.float64]
    captured_by_sender: npt.NDArray[np.bool_]

    samples: int = field(init=False)
    """The number of samples of each block."""

    def __post_init__(self) -> None:
        self.samples = int(self.pcm.shape[1])

    def converted(self, pcm: npt.NDArray[np.int16], to_hz: int, lag: float) -> BlockBatch:
        """Return the batch converted to `pcm` int16[k, n] at `to_hz`; `lag` is the `Resampler.lag`
        of the converters before it, in seconds.
        """
        rate = self.clock_rate_hz
        return BlockBatch(
            pcm,
            to_hz,
            [converted_time(each, rate, to_hz, lag) for each in self.timestamp],
            self.security_generation,
            self.concealed,
            np.where(self.captured != 0.0, self.captured - lag, 0.0),
            self.captured_by_sender,
        )

    def select(self, at: npt.NDArray[np.intp]) -> BlockBatch:
        """Return the blocks at the indices `at`, copied."""
        places = at.tolist()
        return BlockBatch(
            self.pcm[at],
            self.clock_rate_hz,
            [self.timestamp[each] for each in places],
            [self.security_generation[each] for each in places],
            self.concealed[at],
            self.captured[at],
            self.captured_by_sender[at],
        )

    def block(self, at: int) -> PcmBlock:
        """Return block `at`; its samples are a view of the batch."""
        return PcmBlock(
            self.pcm[at],
            self.clock_rate_hz,
            self.timestamp[at],
            self.security_generation[at],
            self.concealed.item(at),
            self.captured.item(at),
            self.captured_by_sender.item(at),
        )

    def blocks(self) -> Iterator[PcmBlock]:
        """Yield all blocks; cheaper than `block` for each."""
        fields = zip(
            self.pcm,
            self.timestamp,
            self.security_generation,
            self.concealed.tolist(),
            self.captured.tolist(),
            self.captured_by_sender.tolist(),
            strict=True,
        )
        rate = self.clock_rate_hz
        for pcm, timestamp, generation, hidden, captured, by_sender in fields:
            yield PcmBlock(pcm, rate, timestamp, generation, hidden, captured, by_sender)


def converted_time(timestamp: int, from_hz: int, to_hz: int, lag: float) -> int:
    """Return the media time of the first sample that a converter gives for a block at `timestamp`,
    in samples at `to_hz`; `lag` is the `Resampler.lag` of the converter before it, in seconds."""
    # The rounding threshold is not exactly one half: a converter may stay at half a sample, and a
    # float error would then shift a block against its neighbors.
    return math.floor((timestamp / from_hz - lag) * to_hz + 0.499)


class BatchSink(Protocol):
    """A sink that takes its block as a row of a batch.

    Classes inherit from it explicitly: an application's sink may have an unrelated `take_block`.
    """

    clock_rate_hz: int
    """The rate of the blocks that it takes without conversion."""

    def converter_for(self, security_generation: int) -> Resampler | None:
        """Return the converter of blocks of another rate; None unless it has been fed blocks of
        that generation only."""

    def take_converted(self, batch: BlockBatch, at: int) -> None:
        """Take block `at` of a batch that its converter has converted."""

    def take_block(self, batch: BlockBatch, at: int) -> None:
        """Take block `at` of a batch, as `write` takes `batch.block(at)`."""

    def read_from(self, queue: BlockQueue, at: int) -> bool:
        """Read the blocks of stream `at` from `queue` from its next frame on; return False to take
        each from the writer."""
        return False


WAYS = ("take_block", "take_converted", "write", "prepare", "write_converted")
"""The methods by which a block reaches a sink."""


def as_batch_sink(sink: Sink) -> BatchSink | None:
    """Return the sink if it is a `BatchSink`, else None.

    None also for an application's subclass that overrides another way of writing to it.
    """
    kinds = type(sink).__mro__
    if BatchSink not in kinds:
        return None
    owner = next(kind for kind in kinds if any(name in vars(kind) for name in WAYS))
    return cast("BatchSink", sink) if "take_block" in vars(owner) else None


class BlockPage:
    """Up to `size` frames of k streams from frame number `first` on, and the page `later`.

    `pcm` int16[size, k, samples], `concealed` bool[size, k], `captured` float64[size, k],
    `captured_by_sender` bool[size, k]; `times` are the media frames of those written so far.
    """

    __slots__ = (
        "batches", "captured", "captured_by_sender", "concealed", "conceals", "first", "later",
        "pcm", "size", "times",
    )  # fmt: skip

    later: BlockPage
    """Set when this page is full, and the next frame is to be written."""

    def __init__(self, first: int, size: int, streams: int, samples: int) -> None:
        self.first, self.size = first, size
        self.pcm = np.empty((size, streams, samples), dtype=np.int16)
        self.concealed = np.empty((size, streams), dtype=np.bool_)
        self.captured = np.empty((size, streams), dtype=np.float64)
        self.captured_by_sender = np.empty((size, streams), dtype=np.bool_)
        self.conceals = True
        """Whether some block of a full page is concealed; asked once, as few pages have one."""
        self.times: list[int] = []
        self.batches: dict[int, BlockBatch] = {}


class QueueReader(Protocol):
    """A sink that reads its blocks from a `BlockQueue`."""

    def note_frames(self, queue: BlockQueue) -> None:
        """Note that `queue` has the frame for which `BlockQueue.call_at` was called."""

    def drop_excess(self) -> None:
        """Drop the oldest blocks that are more than the reader keeps."""

    def leave_queue(self) -> None:
        """Take the unread blocks out of the queue, and those to come from a writer."""


class BlockQueue:
    """The blocks of k streams with the same rate and frame.

    `opened` are the media frames in which the streams' media time starts.  Pages live as long as
    someone who has not read them refers to them, or to a page before them.
    """

    def __init__(
        self, clock_rate_hz: int, samples: int, opened: list[int], generations: list[int]
    ) -> None:
        self.clock_rate_hz = clock_rate_hz
        self.samples = samples
        """The number of samples of each block."""
        self.opened, self.generations = opened, generations
        self.written = 0
        """The number of frames written."""
        self.page = BlockPage(0, 1, len(opened), samples)
        """The page that is being written, or full."""
        self.unread: dict[QueueReader, int] = {}
        """The readers, with the number of frames written when they had read all they have."""
        self._due: dict[int, list[QueueReader]] = {}
        self._bound = 0

    # For the media loop -------------------------------------------------------------------------

    def next_place(self) -> tuple[BlockPage, int]:
        """Return where the next frame is to be written: a page, and the index there."""
        page = self.page
        place = self.written - page.first
        if place == page.size:
            page.conceals = bool(page.concealed.any())
            size = self._choose_size()
            later = BlockPage(self.written, size, len(self.opened), self.samples)
            page.later = self.page = page = later
            place = 0
        return page, place

    def _choose_size(self) -> int:
        """Choose the frames of the next page by how many wait: who reads each at once needs few."""
        if not self.unread:
            return 1
        waiting = self.written - min(self.unread.values())
        if waiting >= self._bound:
            for reader in tuple(self.unread):
                reader.drop_excess()
        return min(max(waiting + 1, self.page.size - 1), MOST_FRAMES)

    def publish(self, time: int) -> list[QueueReader]:
        """Give the frame at `next_place`, media frame `time`, to the readers; return those due."""
        self.page.times.append(time)
        self.written += 1
        return self._due.pop(self.written, [])

    def batch(self, page: BlockPage, place: int) -> BlockBatch:
        """Return a frame as a batch, whose arrays are views of the page."""
        made = page.batches.get(place)
        if made is None:
            time, samples = page.times[place], self.samples
            made = page.batches[place] = BlockBatch(
                page.pcm[place],
                self.clock_rate_hz,
                [(time - opened) * samples for opened in self.opened],
                self.generations,
                page.concealed[place],
                page.captured[place],
                page.captured_by_sender[place],
            )
        return made

    # For readers --------------------------------------------------------------------------------

    def add_reader(self, reader: QueueReader, at: int, most: int) -> QueueCursor:
        """Let `reader`, which keeps `most` samples, read stream `at` from the next frame on."""
        self.unread[reader] = self.written
        frames = most // self.samples
        self._bound = min(self._bound or frames, frames)
        return QueueCursor(self, at)

    def remove_reader(self, reader: QueueReader) -> None:
        """Stop reading: the writer then serves the sink by itself."""
        del self.unread[reader]

    def call_at(self, reader: QueueReader, number: int) -> None:
        """Have `note_frames` called when `number` frames are written, unless they are."""
        self._due.setdefault(number, []).append(reader)


class QueueCursor:
    """Where a reader of stream `at` is: `next` is the number of its next frame."""

    __slots__ = ("_begun", "_page", "at", "next", "queue")

    def __init__(self, queue: BlockQueue, at: int) -> None:
        self.queue, self.at, self._page = queue, at, queue.page
        self.next = self._begun = queue.written

    def read(self, frames: int) -> tuple[npt.NDArray[np.int16], int, int, float, bool, bool]:
        """Read the samples of so many frames, which are there, int16[n], with the media time at
        which they begin and end, when they were captured, whether that is by the far end's clock,
        and whether some are concealed.

        The samples are a copy: a view would keep the frames of all streams as long as one
        application keeps what it has read, and could be written to."""
        queue, at, page = self.queue, self.at, self._page
        place = self.next - page.first
        self.next += frames
        if place == page.size:
            page, place = page.later, 0
        captured, by_sender = page.captured.item(place, at), page.captured_by_sender.item(place, at)
        begin, samples, opened = page.times[place], queue.samples, queue.opened[at]
        pcm, done, concealed = np.empty((frames, samples), dtype=np.int16), 0, False
        while True:
            here = page.size - place
            if here > frames - done:
                here = frames - done
            pcm[done : done + here] = page.pcm[place : place + here, at]
            if page.conceals:
                concealed |= b"\1" in page.concealed[place : place + here, at].tobytes()
            done += here
            if done == frames:
                break
            page, place = page.later, 0
        self._page = page
        end = (page.times[place + here - 1] + 1 - opened) * samples
        return pcm.reshape(-1), (begin - opened) * samples, end, captured, by_sender, concealed

    def take_batches(self) -> list[BlockBatch]:
        """Return the frames that are left, as batches."""
        queue, found = self.queue, []
        while self.next < queue.written:
            place = self.next - self._page.first
            if place == self._page.size:
                self._page, place = self._page.later, 0
            found.append(queue.batch(self._page, place))
            self.next += 1
        return found

    @property
    def last_batch(self) -> BlockBatch | None:
        """The frame read last; None before the first."""
        if self.next == self._begun:
            return None
        return self.queue.batch(self._page, self.next - 1 - self._page.first)
