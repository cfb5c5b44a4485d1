"""Listeners, who know nothing of each other: several to one stream, and those of many streams at
once."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from softphone.media.port import PcmBlock, Sink
from softphone.media.resample import ConvertingSink, ResampleStream, convert

__all__ = ["FanSink", "write_all"]

logger = logging.getLogger("softphone.media")


class FanSink:
    """Gives every block to all of its sinks; one that fails is taken off, the others go on."""

    def __init__(self, *sinks: Sink) -> None:
        self.sinks = sinks

    @property
    def clock_rate_hz(self) -> int:
        """Any rate: each sink converts for itself."""
        return 0

    @property
    def dropped_samples(self) -> int:
        """The sum of theirs."""
        return sum(sink.dropped_samples for sink in self.sinks)

    def write(self, block: PcmBlock) -> None:
        """Take one block."""
        for sink in self.sinks:
            try:
                sink.write(block)
            except Exception:
                # The sink is the application's; its fault must not stop the other listeners.
                logger.exception("a media sink failed; it is taken off its stream")
                self.sinks = tuple(each for each in self.sinks if each is not sink)


def write_all(
    sinks: Sequence[Sink],
    converting: Sequence[ConvertingSink | None],
    blocks: Sequence[PcmBlock],
) -> list[int]:
    """Give each sink its block; which of them failed.

    Those that stand in `converting`, each but once, are converted for at once.
    """
    failed: list[int] = []
    ready: list[tuple[int, ConvertingSink]] = []
    converters: list[ResampleStream] = []
    for at, (sink, taking) in enumerate(zip(sinks, converting, strict=True)):
        try:
            if taking is None:
                sink.write(blocks[at])
                continue
            converter = taking.prepare(blocks[at])
        except Exception:
            _note_failure(failed, at)
            continue
        if converter is not None:
            ready.append((at, taking))
            converters.append(converter)
    converted = convert(converters, [blocks[at].pcm for at, _ in ready])
    for (at, taking), pcm in zip(ready, converted, strict=True):
        try:
            taking.take(blocks[at], pcm)
        except Exception:
            _note_failure(failed, at)
    return failed


def _note_failure(failed: list[int], at: int) -> None:
    # The sink is the application's; its fault must not stop other streams' media.
    logger.exception("a media sink failed; it is taken off its stream")
    failed.append(at)
