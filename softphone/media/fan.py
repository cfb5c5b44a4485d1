"""Several listeners to one stream, who come and go and know nothing of each other."""

from __future__ import annotations

import logging

from softphone.media.port import PcmBlock, Sink

__all__ = ["FanSink"]

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
