"""Writes blocks to many sinks: several sinks on one stream, and the sinks of many streams at once.

A sink that raises is taken off its stream; the others go on.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from softphone.media.audio.resample import (
    ConvertingSink,
    Resampler,
    as_converting_sink,
    resample_together,
)
from softphone.media.interface import PcmBlock, Sink

logger = logging.getLogger("softphone.media")


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
        """Offer the block to `round_` for each sink."""
        for sink in self.sinks:
            round_.offer_block(sink, self._takers.get(id(sink)), block, self)

    def remove_failed(self, sink: Sink) -> None:
        """Stop writing to a sink that failed."""
        self.sinks = tuple(each for each in self.sinks if each is not sink)


class FanOutRound:
    """Writes blocks to many sinks in one round; one operation converts the rates for all."""

    def __init__(self) -> None:
        self.failed: list[Sink] = []
        """The sinks that raised and do not belong to a `TeeSink`."""
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
        # The sink is the application's; its fault must not stop other streams' media.
        logger.exception("a media sink failed; it is taken off its stream")
        if fan is None:
            self.failed.append(sink)
        else:
            fan.remove_failed(sink)


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
