"""Listeners, who know nothing of each other: several to one stream, and those of many streams at
once."""

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
        """The sum of theirs."""
        return sum(sink.dropped_samples for sink in self.sinks)

    def write(self, block: PcmBlock) -> None:
        """Take one block."""
        write_blocks([self], [None], [block])

    def offer_block(self, block: PcmBlock, round_: FanOutRound) -> None:
        """Have it written to each in this round."""
        for sink in self.sinks:
            round_.offer_block(sink, self._takers.get(id(sink)), block, self)

    def remove_failed(self, sink: Sink) -> None:
        """One that failed is not written to any more."""
        self.sinks = tuple(each for each in self.sinks if each is not sink)


class FanOutRound:
    """Blocks for many sinks, of which those that convert are converted for at once."""

    def __init__(self) -> None:
        self.failed: list[Sink] = []
        """Those that failed and are in no fan."""
        self._ready: list[tuple[ConvertingSink, Sink, PcmBlock, TeeSink | None]] = []
        self._converters: list[Resampler] = []
        self._prepared: set[int] = set()
        self._later: list[tuple[Sink, PcmBlock, TeeSink | None]] = []

    def offer_block(
        self, sink: Sink, taking: ConvertingSink | None, block: PcmBlock, fan: TeeSink | None
    ) -> None:
        """Write a block, or have it written by `finish`; `taking` is the sink if it converts."""
        try:
            if taking is None:
                sink.write(block)
            elif id(sink) in self._prepared:
                # It hears several streams: in turn.
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
        """Convert, and write what is left."""
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
    """Give each sink its block; which of them failed.

    `converting_sinks` are those that convert, None in the place of the others: all are converted
    for at once, those within fans, too.
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
