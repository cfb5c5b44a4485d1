"""Writes blocks to many sinks: several sinks on one stream, and the sinks of many streams at once.

A sink that raises is taken off its stream; the others go on.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from softphone.media.audio.block_batch import (
    BatchSink,
    BlockBatch,
    BlockQueue,
    QueueReader,
    as_batch_sink,
)
from softphone.media.audio.resample import (
    ConvertingSink,
    Resampler,
    ResamplerGroup,
    as_converting_sink,
    resample_together,
)
from softphone.media.interface import PcmBlock, Sink

logger = logging.getLogger("softphone.media")

FEW: Final = 2
"""The least number of sinks whose converters are kept together in a `ResamplerGroup`."""


class TeeSink:
    """Gives every block to all of its sinks; one that fails is taken off, the others go on."""

    def __init__(self, *sinks: Sink) -> None:
        self.sinks = sinks
        self._takers = {id(sink): as_converting_sink(sink) for sink in sinks}

    clock_rate_hz = 0
    """Any rate: each sink converts for itself."""

    @property
    def dropped_samples(self) -> int:
        """The sum of the sinks' dropped samples."""
        return sum(sink.dropped_samples for sink in self.sinks)

    def write(self, block: PcmBlock) -> None:
        """Write one block to all sinks."""
        write_blocks([self], [None], [block])

    def offer_block(self, block: PcmBlock, round_: FanOutRound) -> None:
        """Offer the block to `round_` for each sink.

        :meta private:
        """
        for sink in self.sinks:
            round_.offer_block(sink, self._takers.get(id(sink)), block, self)

    def remove_failed(self, sink: Sink) -> None:
        """Stop writing to a sink that failed.

        :meta private:
        """
        self.sinks = tuple(each for each in self.sinks if each is not sink)


class FanOutRound:
    """Writes blocks to many sinks in one round; one operation converts the rates for all."""

    def __init__(self) -> None:
        self.failed: list[Sink] = []
        """The sinks that raised and do not belong to a `TeeSink`."""
        self.thinned = False
        """Whether a `TeeSink` has lost a sink."""
        self._ready: list[tuple[ConvertingSink, Sink, PcmBlock, TeeSink | None]] = []
        self._converters: list[Resampler] = []
        self._prepared: set[int] = set()
        self._later: list[tuple[Sink, PcmBlock, TeeSink | None]] = []

    def offer_block(
        self, sink: Sink, taking: ConvertingSink | None, block: PcmBlock, fan: TeeSink | None
    ) -> None:
        """Write a block now, or in `finish` if the sink converts it.

        `taking` is the sink as a `ConvertingSink`, or None; `fan` is the `TeeSink` it belongs to.
        """
        try:
            if taking is None:
                sink.write(block)
            elif id(sink) in self._prepared:
                # One sink on several streams: it takes its blocks one after another.
                self._later.append((sink, block, fan))
            else:
                converter = taking.prepare(block)
                if converter is not None:
                    self._prepared.add(id(sink))
                    self._ready.append((taking, sink, block, fan))
                    self._converters.append(converter)
        except Exception:
            self._lose(sink, fan)

    def finish(self) -> None:
        """Convert the remaining blocks together, and write them."""
        converted = resample_together(
            self._converters, [block.pcm for _, _, block, _ in self._ready]
        )
        for (taking, sink, block, fan), pcm in zip(self._ready, converted, strict=True):
            try:
                taking.write_converted(block, pcm)
            except Exception:
                self._lose(sink, fan)
        for sink, block, fan in self._later:
            self.offer_block(sink, None, block, fan)

    def _lose(self, sink: Sink, fan: TeeSink | None) -> None:
        _log_failure()
        if fan is None:
            self.failed.append(sink)
        else:
            fan.remove_failed(sink)
            self.thinned = True


def write_blocks(
    sinks: Sequence[Sink],
    converting_sinks: Sequence[ConvertingSink | None],
    blocks: Sequence[PcmBlock],
) -> list[int]:
    """Write one block to each sink; return the indices of the sinks that failed.

    `converting_sinks` has each sink as a `ConvertingSink`, or None.  One operation converts the
    blocks of all of them, those within a `TeeSink` included.
    """
    round_ = FanOutRound()
    for sink, taking, block in zip(sinks, converting_sinks, blocks, strict=True):
        if isinstance(sink, TeeSink):
            sink.offer_block(block, round_)
        else:
            round_.offer_block(sink, taking, block, None)
    round_.finish()
    if not round_.failed:
        return []
    lost = {id(sink) for sink in round_.failed}
    return [at for at, sink in enumerate(sinks) if id(sink) in lost]


class Outlet(NamedTuple):
    """A sink of stream `at`, which may be one of several in a `TeeSink` (`fan`).

    `taker` is the sink as a `BatchSink`, `converting` as a `ConvertingSink`, or None.
    """

    at: int
    sink: Sink
    fan: TeeSink | None
    taker: BatchSink | None
    converting: ConvertingSink | None


class Conversion(NamedTuple):
    """Outlets of one rate whose converters are fed together; `at` intp[k] are their streams, None
    for each stream in order."""

    at: npt.NDArray[np.intp] | None
    outlets: list[tuple[Outlet, BatchSink]]
    group: ResamplerGroup


class BatchWriter:
    """Writes batches to the sinks of k streams, again and again, those within a `TeeSink` included.

    A `BatchSink` takes its row of the batch, and the rate is converted for many of them at once; a
    block is made for the other sinks of a stream.  Sinks that read from `queue` are only told.
    """

    def __init__(
        self, sinks: Sequence[Sink], clock_rate_hz: int, queue: BlockQueue | None = None
    ) -> None:
        """Write what streams of `clock_rate_hz` deliver."""
        self.queue = queue
        """The queue of the streams, in the order of their sinks."""
        self._sinks = tuple(sinks)
        self._rate = clock_rate_hz
        self._failed: list[int] = []
        self._sort_outlets()

    def __del__(self) -> None:
        # A queue and its readers refer to each other.  Nobody writes to this queue any more: a
        # reader that is dropped is to go at once, with the frames of many streams that it keeps.
        if self.queue is not None:
            for reader in tuple(self.queue.unread):
                reader.leave_queue()

    def _sort_outlets(self) -> None:
        self._direct: list[tuple[Outlet, BatchSink]] = []
        self._others: list[Outlet] = []
        for at, whole in enumerate(self._sinks):
            fan = whole if isinstance(whole, TeeSink) else None
            for sink in (whole,) if fan is None else fan.sinks:
                taker = as_batch_sink(sink)
                outlet = Outlet(at, sink, fan, taker, as_converting_sink(sink))
                if taker is not None and taker.clock_rate_hz in (0, self._rate):
                    self._direct.append((outlet, taker))
                else:
                    self._others.append(outlet)
        self._alone = self._others
        self._conversions: list[Conversion] = []
        self._generations: list[int] | None = None
        seen = Counter(id(taker) for _, taker in self._direct)
        self._taking_turns = {each for each, count in seen.items() if count > 1}
        self._reading: dict[int, Outlet] = {}
        if self.queue is not None:
            self._share_queue(self.queue)
            for reader in [each for each in self.queue.unread if id(each) not in self._reading]:
                reader.leave_queue()

    def _share_queue(self, queue: BlockQueue) -> None:
        """Let the sinks read from the queue that can."""
        staying: list[tuple[Outlet, BatchSink]] = []
        for each in self._direct:
            outlet, taker = each
            # One sink on several streams takes their blocks in turn.
            may = id(taker) not in self._taking_turns and outlet.at not in self._failed
            if may and taker.read_from(queue, outlet.at):
                self._reading[id(taker)] = outlet
            else:
                staying.append(each)
        self._direct = staying

    def write_next(self, queue: BlockQueue, time: int) -> list[int]:
        """Write the frame at `next_place` of the writer's queue, media frame `time`, to each sink;
        return the indices of those that failed."""
        self._failed = []
        if len(queue.unread) != len(self._reading):
            self._serve_leavers(queue)
        page, place = queue.next_place()
        due = queue.publish(time)
        broken = bool(due) and self._tell_readers(queue, due)
        if self._direct or self._others:
            broken |= self._write_blocks(queue.batch(page, place))
            self._share_queue(queue)
        if broken:
            self._sort_outlets()
        return self._failed

    def _serve_leavers(self, queue: BlockQueue) -> None:
        """Write again to the sinks that have stopped reading from the queue."""
        staying = {id(reader) for reader in queue.unread}
        for left in self._reading.keys() - staying:
            outlet = self._reading.pop(left)
            if outlet.taker is not None:
                self._direct.append((outlet, outlet.taker))

    def _tell_readers(self, queue: BlockQueue, due: list[QueueReader]) -> bool:
        """Tell those due of their frames; return whether a `TeeSink` has lost one."""
        broken = False
        for reader in due:
            if reader in queue.unread:
                try:
                    reader.note_frames(queue)
                except Exception:
                    reader.leave_queue()
                    broken |= self._lose(self._reading[id(reader)])
        return broken

    def write_batch(self, batch: BlockBatch) -> list[int]:
        """Write its block of `batch` to each sink; return the indices of those that failed."""
        self._failed = []
        if self._write_blocks(batch):
            self._sort_outlets()
        return self._failed

    def _write_blocks(self, batch: BlockBatch) -> bool:
        """Write to the sinks that do not read from the queue; return whether a `TeeSink` has lost
        one."""
        broken = False
        for outlet, taker in self._direct:
            try:
                taker.take_block(batch, outlet.at)
            except Exception:
                broken |= self._lose(outlet)
        if self._others:
            broken |= self._write_others(batch)
        return broken

    def _write_others(self, batch: BlockBatch) -> bool:
        """Write to the outlets that convert or take blocks; return whether a `TeeSink` has lost
        one."""
        generations, broken = batch.security_generation, False
        changed = generations != self._generations
        if changed or any(each.group.dissolved for each in self._conversions):
            # A converter of a new generation must hold no old sound: `write` ensures that.
            changed, self._alone, self._conversions = True, self._others, []
        for conversion in self._conversions:
            broken |= self._write_converted(conversion, batch)
        round_ = FanOutRound()
        every = len(self._alone) >= len(self._sinks)
        blocks = dict(enumerate(batch.blocks())) if every else {}
        for outlet in self._alone:
            if outlet.at not in blocks:
                blocks[outlet.at] = batch.block(outlet.at)
            round_.offer_block(outlet.sink, outlet.converting, blocks[outlet.at], outlet.fan)
        round_.finish()
        if round_.failed:
            lost = {id(sink) for sink in round_.failed}
            self._failed += [outlet.at for outlet in self._alone if id(outlet.sink) in lost]
        if changed:
            self._generations = generations
            self._gather(generations)
        return broken or round_.thinned

    def _write_converted(self, conversion: Conversion, batch: BlockBatch) -> bool:
        group, at, broken = conversion.group, conversion.at, False
        some = batch if at is None else batch.select(at)
        lag, rate = group.lag, conversion.outlets[0][1].clock_rate_hz
        made = some.converted(group.feed(some.pcm), rate, lag)
        for place, (outlet, taker) in enumerate(conversion.outlets):
            try:
                taker.take_converted(made, place)
            except Exception:
                broken |= self._lose(outlet)
        return broken

    def _lose(self, outlet: Outlet) -> bool:
        """Note an outlet that has raised; return whether a `TeeSink` has lost it."""
        _log_failure()
        if outlet.fan is None:
            self._failed.append(outlet.at)
            return False
        outlet.fan.remove_failed(outlet.sink)
        return True

    def _gather(self, generations: list[int]) -> None:
        """Group the outlets whose converters are alike, each sink once."""
        alike: dict[tuple[int, ...], list[tuple[Outlet, BatchSink, Resampler]]] = defaultdict(list)
        seen: set[int] = set()
        for outlet in self._others:
            if outlet.taker is None or outlet.at in self._failed or id(outlet.sink) in seen:
                continue
            seen.add(id(outlet.sink))
            converter = outlet.taker.converter_for(generations[outlet.at])
            if converter is not None:
                alike[converter.standing].append((outlet, outlet.taker, converter))
        grouped: set[int] = set()
        for members in alike.values():
            if len(members) < FEW:
                continue
            places = [outlet.at for outlet, _, _ in members]
            every = places == list(range(len(self._sinks)))
            at = None if every else np.array(places, dtype=np.intp)
            group = ResamplerGroup([converter for _, _, converter in members])
            outlets = [(outlet, taker) for outlet, taker, _ in members]
            self._conversions.append(Conversion(at, outlets, group))
            grouped.update(id(outlet) for outlet, _ in outlets)
        self._alone = [outlet for outlet in self._others if id(outlet) not in grouped]


def _log_failure() -> None:
    # The sink is the application's; its fault must not stop other streams' media.
    logger.exception("a media sink failed; it is taken off its stream")
