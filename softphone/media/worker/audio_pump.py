"""The application's end of the sound that a media worker carries: sources and sinks, pumped.

Sources are read a little ahead of their time and sinks are written a little behind it, by one
timer of the loop, while there are any.  A block of a security generation that its stream has left
behind is dropped here, whatever the worker had still under way.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from softphone.media.audio import (
    BLOCKS,
    SAMPLES,
    ConvertingSink,
    PcmOutput,
    SharedRing,
    converting,
    put_samples,
    take_blocks,
    write_all,
)
from softphone.media.interface import PcmBlock, Sink, Source

__all__ = ["Ear", "Mouth", "Pump", "give"]

logger = logging.getLogger("softphone.media")

PERIOD: Final = 0.01
"""Seconds between two visits."""

AHEAD: Final = 0.2
"""Seconds that a source is read ahead, so that a busy application is not heard."""

STEP: Final = 0.04
"""Seconds of room that are worth a read of a source that always has something."""


@dataclass(slots=True, eq=False)
class Mouth:
    """A source and its ring; `number` names it to the worker, `users` counts its streams."""

    source: Source
    ring: SharedRing
    number: int
    users: int = 0
    live: bool = False
    """Whether it had less than it was asked for: then it is asked at each visit."""


@dataclass(slots=True, eq=False)
class Ear:
    """A sink and its ring; `generation` tells the security generation of its stream now, and
    `failed` is called when the sink has raised."""

    sink: Sink
    ring: SharedRing
    generation: Callable[[], int]
    failed: Callable[[], None]
    converting: ConvertingSink | None = None
    """The sink, where its blocks are converted together with those of others."""
    dropped: int = 0

    def take(self) -> list[PcmBlock]:
        """What has come, but for what is of a generation that was left behind."""
        generation, blocks = self.generation(), []
        for block in take_blocks(self.ring):
            if block.security_generation < generation:
                self.dropped += block.pcm.size
            else:
                blocks.append(block)
        return blocks


class Pump:
    """Moves the sound of one worker."""

    def __init__(self) -> None:
        self._mouths: dict[int, Mouth] = {}
        self._ears: list[Ear] = []
        self._timer: asyncio.TimerHandle | None = None
        self._next = 0

    def add_source(self, source: Source) -> tuple[Mouth, int | None]:
        """The mouth of a source for one more stream; with a descriptor, to be sent and closed,
        where the worker does not have its ring yet.  Raises OSError."""
        known = self._mouths.get(id(source))
        if known is not None:
            known.users += 1
            return known, None
        if isinstance(source, PcmOutput):
            descriptor = source.share()
            ring = source.ring
        else:
            ring, descriptor = SharedRing.create(SAMPLES)
        self._next += 1
        mouth = self._mouths[id(source)] = Mouth(source, ring, self._next, users=1)
        self._fill(mouth)
        self._start()
        return mouth, descriptor

    def remove_source(self, mouth: Mouth) -> bool:
        """One stream less; whether that was the last, and the worker may forget the ring."""
        mouth.users -= 1
        if mouth.users:
            return False
        self._mouths.pop(id(mouth.source), None)
        return True

    def add_sink(
        self, sink: Sink, *, generation: Callable[[], int], failed: Callable[[], None]
    ) -> tuple[Ear, int]:
        """The ear of a sink, and the descriptor of its ring, to be sent and closed.
        Raises OSError."""
        ring, descriptor = SharedRing.create(BLOCKS)
        ear = Ear(sink, ring, generation, failed, converting(sink))
        self._ears.append(ear)
        self._start()
        return ear, descriptor

    def remove_sink(self, ear: Ear) -> None:
        """Give the sink what is there, and nothing more."""
        if ear in self._ears:
            self._drain(ear)
        if ear in self._ears:
            self._ears.remove(ear)

    def close(self) -> None:
        """Give sinks what is there, and stop."""
        for ear in list(self._ears):
            self.remove_sink(ear)
        self._mouths.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(PERIOD, self._visit)

    def _visit(self) -> None:
        self._timer = None
        for ear in [ear for ear in self._ears if ear.converting is None]:
            self._drain(ear)
        self._drain_together([ear for ear in self._ears if ear.converting is not None])
        for mouth in list(self._mouths.values()):
            self._fill(mouth)
        if self._ears or self._mouths:
            self._start()

    def _drain(self, ear: Ear) -> None:
        for block in ear.take():
            if block.security_generation < ear.generation():
                # What was written before it has ended that generation.
                ear.dropped += block.pcm.size
            elif write_all([ear.sink], [None], [block]):
                self._lose(ear)
                return

    def _drain_together(self, ears: list[Ear]) -> None:
        """The first block of each, then the second, and so on: nearly always there is one."""
        waiting = [(ear, ear.take()) for ear in ears]
        while waiting := [(ear, blocks) for ear, blocks in waiting if blocks]:
            sinks = [ear.sink for ear, _ in waiting]
            takers = [ear.converting for ear, _ in waiting]
            failed = write_all(sinks, takers, [blocks.pop(0) for _, blocks in waiting])
            for at in failed:
                ear, blocks = waiting[at]
                blocks.clear()
                self._lose(ear)

    def _lose(self, ear: Ear) -> None:
        if ear in self._ears:
            self._ears.remove(ear)
        ear.failed()

    def _fill(self, mouth: Mouth) -> None:
        ring, source = mouth.ring, mouth.source
        if isinstance(source, PcmOutput):
            # The worker reads what the application writes: nothing is to be moved.
            source.look()
            return
        if ring.ended:
            return
        rate = source.clock_rate_hz
        lacking = min(round(rate * AHEAD), SAMPLES // 4) - ring.available // 2
        if lacking <= 0 or (not mouth.live and lacking < rate * STEP):
            return
        try:
            pcm = source.read(lacking)
            ended = source.ended
        except Exception:
            # The source is the application's; its fault must not stop other streams' media.
            logger.exception("a media source failed; silence is sent in its place")
            mouth.live = True
            return
        put_samples(ring, pcm[:lacking])
        mouth.live = len(pcm) < lacking
        if ended:
            ring.end()


def give(descriptor: int | None, send: Callable[[tuple[int, ...]], None]) -> None:
    """Send a descriptor, if there is one, and close it here."""
    if descriptor is None:
        send(())
        return
    try:
        send((descriptor,))
    finally:
        os.close(descriptor)
