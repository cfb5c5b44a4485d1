"""Moves audio between the application's sources and sinks and a worker's shared rings.

One timer of the event loop reads sources a little ahead of time and writes sinks a little late, as
long as there are any.  It drops blocks of a security generation older than the stream's, which the
worker may still have queued.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from softphone.media.audio import (
    BLOCK_RING_OCTETS,
    SAMPLE_RING_OCTETS,
    ConvertingSink,
    PcmOutput,
    SharedRing,
    as_converting_sink,
    read_blocks,
    write_blocks,
    write_samples,
)
from softphone.media.interface import PcmBlock, Sink, Source

logger = logging.getLogger("softphone.media")

PERIOD: Final = 0.01
"""Seconds between two runs of the timer."""

AHEAD: Final = 0.2
"""Seconds that a source is read ahead, so that a busy event loop causes no gap."""

STEP: Final = 0.04
"""Seconds of free space in the ring that trigger a read of a source that always has samples."""


@dataclass(slots=True, eq=False)
class PumpedSource:
    """A source and its ring; `number` identifies it to the worker, `users` counts its streams."""

    source: Source
    ring: SharedRing
    number: int
    users: int = 0
    live: bool = False
    """Whether its last read gave fewer samples than asked: then each run of the timer reads it."""


@dataclass(slots=True, eq=False)
class PumpedSink:
    """A sink and its ring.

    `generation` returns the current security generation of its stream; `failed` is called when the
    sink has raised."""

    sink: Sink
    ring: SharedRing
    generation: Callable[[], int]
    failed: Callable[[], None]
    converting: ConvertingSink | None = None
    """The sink as a `ConvertingSink`, if its blocks can be converted with those of others."""
    dropped: int = 0

    def take_current_blocks(self) -> list[PcmBlock]:
        """Return the blocks in the ring, without those of an older security generation."""
        generation, blocks = self.generation(), []
        for block in read_blocks(self.ring):
            if block.security_generation < generation:
                self.dropped += block.pcm.size
            else:
                blocks.append(block)
        return blocks


class AudioPump:
    """Moves the audio of one worker."""

    def __init__(self) -> None:
        self._sources: dict[int, PumpedSource] = {}
        self._sinks: list[PumpedSink] = []
        self._timer: asyncio.TimerHandle | None = None
        self._next = 0

    def add_source(self, source: Source) -> tuple[PumpedSource, int | None]:
        """Return the `PumpedSource` of a source, with one more user.

        Also returns the descriptor of its ring, to be sent and closed, or None if the worker
        already has the ring.  Raises OSError.
        """
        known = self._sources.get(id(source))
        if known is not None:
            known.users += 1
            if known.ring.ended and not source.ended:
                # The source had ended and has samples again.
                known.ring.mark_ended(False)
                self._fill(known)
            return known, None
        if isinstance(source, PcmOutput):
            descriptor = source.share()
            ring = source.ring
        else:
            ring, descriptor = SharedRing.create(SAMPLE_RING_OCTETS)
        self._next += 1
        pumped = self._sources[id(source)] = PumpedSource(source, ring, self._next, users=1)
        self._fill(pumped)
        self._start()
        return pumped, descriptor

    def remove_source(self, pumped: PumpedSource) -> bool:
        """Remove one user; return whether it was the last, so that the worker may drop the ring."""
        pumped.users -= 1
        if pumped.users:
            return False
        self._sources.pop(id(pumped.source), None)
        return True

    def add_sink(
        self, sink: Sink, *, generation: Callable[[], int], failed: Callable[[], None]
    ) -> tuple[PumpedSink, int]:
        """Return the `PumpedSink` of a sink, and its ring's descriptor, to be sent and closed.

        Raises OSError.
        """
        ring, descriptor = SharedRing.create(BLOCK_RING_OCTETS)
        pumped = PumpedSink(sink, ring, generation, failed, as_converting_sink(sink))
        self._sinks.append(pumped)
        self._start()
        return pumped, descriptor

    def remove_sink(self, pumped: PumpedSink) -> None:
        """Write the remaining blocks to the sink, and remove it."""
        if pumped in self._sinks:
            self._drain(pumped)
        if pumped in self._sinks:
            self._sinks.remove(pumped)

    def close(self) -> None:
        """Write the remaining blocks to all sinks, and stop."""
        for pumped in list(self._sinks):
            self.remove_sink(pumped)
        self._sources.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(PERIOD, self._visit)

    def _visit(self) -> None:
        self._timer = None
        for pumped_sink in [pumped for pumped in self._sinks if pumped.converting is None]:
            self._drain(pumped_sink)
        self._drain_together([pumped for pumped in self._sinks if pumped.converting is not None])
        for pumped_source in list(self._sources.values()):
            self._fill(pumped_source)
        if self._sinks or self._sources:
            self._start()

    def _drain(self, pumped: PumpedSink) -> None:
        for block in pumped.take_current_blocks():
            if block.security_generation < pumped.generation():
                # What was written before it has ended that generation.
                pumped.dropped += block.pcm.size
            elif write_blocks([pumped.sink], [None], [block]):
                self._lose(pumped)
                return

    def _drain_together(self, pumped_sinks: list[PumpedSink]) -> None:
        """Write the first block of each sink together, then the second ones (rarely any), etc."""
        waiting = [(pumped, pumped.take_current_blocks()) for pumped in pumped_sinks]
        while waiting := [(pumped, blocks) for pumped, blocks in waiting if blocks]:
            sinks = [pumped.sink for pumped, _ in waiting]
            takers = [pumped.converting for pumped, _ in waiting]
            failed = write_blocks(sinks, takers, [blocks.pop(0) for _, blocks in waiting])
            for at in failed:
                pumped, blocks = waiting[at]
                blocks.clear()
                self._lose(pumped)

    def _lose(self, pumped: PumpedSink) -> None:
        if pumped in self._sinks:
            self._sinks.remove(pumped)
        pumped.failed()

    def _fill(self, pumped: PumpedSource) -> None:
        ring, source = pumped.ring, pumped.source
        if isinstance(source, PcmOutput):
            # The worker reads the ring that the application writes: nothing to move.
            source.update_marks()
            return
        if ring.ended:
            return
        rate = source.clock_rate_hz
        lacking = min(round(rate * AHEAD), SAMPLE_RING_OCTETS // 4) - ring.available // 2
        if lacking <= 0 or (not pumped.live and lacking < rate * STEP):
            return
        try:
            pcm = source.read(lacking)
            ended = source.ended
        except Exception:
            # The source is the application's; its fault must not stop other streams' media.
            logger.exception("a media source failed; silence is sent in its place")
            pumped.live = True
            return
        write_samples(ring, pcm[:lacking])
        pumped.live = len(pcm) < lacking
        if ended:
            ring.mark_ended()


def send_descriptor(descriptor: int | None, send: Callable[[tuple[int, ...]], None]) -> None:
    """Send a descriptor, if there is one, and close it here."""
    if descriptor is None:
        send(())
        return
    try:
        send((descriptor,))
    finally:
        os.close(descriptor)
