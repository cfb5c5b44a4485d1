"""The first sound of a call, kept in memory for its one reader until a deadline."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace

from softphone.errors import ConfigurationError
from softphone.media.audio import ConvertingSink, Detachable, PcmInput, Resampler
from softphone.media.interface import Pcm, PcmBlock

LONGEST = 30.0
"""The most seconds of sound that are kept."""

MARGIN = 2.0
"""Seconds of sound beyond the requested ones: what arrives between our 200 and its ACK."""

ROUNDING = 1e-6
"""The rounding error of sums of durations, in seconds."""


def check_keep(seconds: float) -> float:
    """Return the seconds.  Raises ConfigurationError unless they are above 0, 30 at most."""
    if not 0.0 < seconds <= LONGEST:
        raise ConfigurationError(
            f"{seconds:g} s of sound cannot be kept: above 0, {LONGEST:g} most"
        )
    return seconds


class KeptAudio(ConvertingSink, Detachable):
    """A sink that keeps blocks as they arrive, and delivers them to one reader, once.

    From then on it passes blocks on to that reader.  `seconds` is how much is kept, and `MARGIN`
    more; the oldest is dropped first.  `skip` seconds at the beginning are left out: sound that
    came before, and is still in the playout buffer.  Dropped sound is overwritten.
    """

    clock_rate_hz = 0
    """Any rate: the reader converts."""

    def __init__(
        self, seconds: float, *, count_events: Callable[[], int], skip: float = 0.0
    ) -> None:
        self._most = check_keep(seconds) + MARGIN
        self._count_events = count_events
        self._skip = skip
        self._blocks: deque[tuple[int, PcmBlock]] = deque()
        self._generation = 0
        self._reader: PcmInput | None = None
        self._closed = False
        self.seconds = 0.0
        """Seconds of sound that wait for the reader."""
        self.dropped_samples = 0
        """Samples dropped: there was too much, or their security generation was older."""

    @property
    def waits(self) -> bool:
        """Whether sound is kept that has not been read."""
        return self._reader is None and not self._closed

    # For the media loop

    def write(self, block: PcmBlock) -> None:
        """Keep a copy of a block, or pass it on."""
        converter = self.prepare(block)
        if converter is not None:
            self.write_converted(block, converter.feed(block.pcm))

    def prepare(self, block: PcmBlock) -> Resampler | None:
        """Keep a copy of a block and return None, or return the reader's converter."""
        if self._reader is not None:
            return self._reader.prepare(block)
        if self._closed:
            return None
        if self._skip > 0.0:
            self._skip -= block.pcm.size / block.clock_rate_hz
            return None
        if block.security_generation < self._generation:
            self.dropped_samples += block.pcm.size
            return None
        if block.security_generation > self._generation:
            self._generation = block.security_generation
            self._drop_to(0.0)
        # A copy, since the frames of all calls share one array, and ours are overwritten.
        self._blocks.append((self._count_events(), replace(block, pcm=block.pcm.copy())))
        self.seconds += block.pcm.size / block.clock_rate_hz
        self._drop_to(self._most)
        return None

    def write_converted(self, block: PcmBlock, pcm: Pcm) -> None:
        """Pass on the prepared block, converted to `pcm`."""
        if self._reader is not None:
            self._reader.write_converted(block, pcm)

    def _drop_to(self, seconds: float) -> None:
        while self._blocks and self.seconds > seconds + ROUNDING:
            _, block = self._blocks.popleft()
            self.seconds -= block.pcm.size / block.clock_rate_hz
            self.dropped_samples += block.pcm.size
            block.pcm.fill(0)

    # For the call

    def deliver_to(self, reader: PcmInput) -> None:
        """Deliver the kept sound, and all that follows, to the reader."""
        self._reader = reader
        while self._blocks:
            events_before, block = self._blocks.popleft()
            reader.write(block, events_before=events_before)
        self.seconds = 0.0
        reader.dropped_samples += self.dropped_samples

    def drop(self) -> None:
        """Overwrite and drop the unread sound; keep and deliver nothing more."""
        self._closed = True
        self._drop_to(0.0)
        self.seconds, self._reader = 0.0, None

    def detach(self) -> None:
        """Drop what is kept: another sink takes the place, or the call is over."""
        self.drop()
