"""A bounded ring of samples between the media loop and an application.

Readers wait without polling.  A full ring drops its oldest samples.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from softphone.errors import ConfigurationError
from softphone.media.arrays import zeros
from softphone.media.audio.resample import ConvertingSink, Resampler
from softphone.media.audio.waiters import Waiters
from softphone.media.interface import PcmBlock


class PcmRing(ConvertingSink):
    """A bounded ring of mono samples at one rate, `seconds` long.

    It is a `Sink` (the media loop writes blocks, the application awaits `read_exactly`) or a
    `Source` (the application calls `write_samples`, the media loop reads).  When it is full, the
    oldest samples are dropped and counted in `dropped_samples`.  For use in one event loop.
    Raises ConfigurationError for a rate outside 4,000 to 192,000 Hz, or a length outside 0.02 to
    3,600 s.
    """

    def __init__(self, clock_rate_hz: int = 8000, *, seconds: float = 2.0) -> None:
        if not 4000 <= clock_rate_hz <= 192_000 or not 0.02 <= seconds <= 3600.0:
            raise ConfigurationError(
                f"a ring of {seconds:g} s at {clock_rate_hz} Hz is outside 0.02 to 3,600 s "
                "and 4,000 to 192,000 Hz"
            )
        self.clock_rate_hz = clock_rate_hz
        """The rate of the samples in the ring; blocks of another rate are converted to it."""
        self._buffer = zeros(2 * round(clock_rate_hz * seconds)).view(np.int16)
        self._start = 0
        self._count = 0
        self.dropped_samples = 0
        """Samples dropped unread: overwritten, or of an older security generation."""
        self.timestamp = 0
        """Media time of the next sample to be read, in samples; dropped ones count."""
        self._generation = 0
        self._closed = False
        self._converter: Resampler | None = None
        self._waiters = Waiters()

    @property
    def ended(self) -> bool:
        """Whether the ring was closed and is empty."""
        return self._closed and not self._count

    def __len__(self) -> int:
        return self._count

    def write(self, block: PcmBlock) -> None:
        """Take a block from the media loop.

        A block of a newer security generation drops all older samples first; one of an older
        generation is dropped itself.
        """
        converter = self.prepare(block)
        if converter is not None:
            self.write_samples(converter.feed(block.pcm))

    def prepare(self, block: PcmBlock) -> Resampler | None:
        """Return the converter for a block; None: the ring does not take it.

        :meta private:
        """
        if block.security_generation != self._generation:
            if block.security_generation < self._generation:
                self.dropped_samples += block.pcm.size
                return None
            self._generation = block.security_generation
            self.dropped_samples += self.flush()
            self._converter = None
        rates = block.clock_rate_hz, self.clock_rate_hz
        if self._converter is None:
            self._converter = Resampler(*rates)
        elif self._converter.source_rate_hz != block.clock_rate_hz:
            self._converter = self._converter.next_rates(*rates)
        return self._converter

    def write_converted(self, block: PcmBlock, pcm: NDArray[np.int16]) -> None:
        """Add the prepared block to the ring, converted to `pcm`.

        :meta private:
        """
        self.write_samples(pcm)

    def write_samples(self, pcm: NDArray[np.int16]) -> None:
        """Add int16[n] at the ring's rate; a full ring drops its oldest samples.

        Raises ConfigurationError unless the samples are int16 in one dimension.
        """
        if pcm.dtype != np.int16 or pcm.ndim != 1:
            raise ConfigurationError("a ring takes int16 samples in one dimension")
        if self._closed:
            self.dropped_samples += pcm.size
            return
        capacity = self._buffer.size
        excess = self._count + pcm.size - capacity
        if excess > 0:
            self._discard(min(excess, self._count))
            if pcm.size > capacity:
                self.timestamp += pcm.size - capacity
                pcm = pcm[-capacity:]
            self.dropped_samples += excess
        end = (self._start + self._count) % capacity
        first = min(pcm.size, capacity - end)
        self._buffer[end : end + first] = pcm[:first]
        self._buffer[: pcm.size - first] = pcm[first:]
        self._count += pcm.size
        self._waiters.wake()

    def read(self, samples: int) -> NDArray[np.int16]:
        """Return the next samples without waiting, `samples` at most."""
        size = min(samples, self._count)
        pcm = np.empty(size, dtype=np.int16)
        first = min(size, self._buffer.size - self._start)
        pcm[:first] = self._buffer[self._start : self._start + first]
        pcm[first:] = self._buffer[: size - first]
        self._discard(size)
        self._waiters.wake()
        return pcm

    async def read_exactly(self, samples: int) -> NDArray[np.int16]:
        """Wait for exactly `samples`; fewer only after `close`, and none once it is empty.

        Raises ConfigurationError for more samples than the ring can hold.
        """
        if samples > self._buffer.size:
            raise ConfigurationError(f"{samples} samples do not fit into {self._buffer.size}")
        while self._count < samples and not self._closed:
            await self._waiters.wait()
        return self.read(samples)

    async def drain(self, level: int = 0) -> None:
        """Wait until the ring has at most `level` samples or is closed."""
        while self._count > level and not self._closed:
            await self._waiters.wait()

    def flush(self) -> int:
        """Drop all samples; return their number."""
        count = self._count
        self._discard(count)
        self._waiters.wake()
        return count

    def close(self) -> None:
        """End the input; samples in the ring can still be read."""
        self._closed = True
        self._waiters.wake()

    def _discard(self, samples: int) -> None:
        self._start = (self._start + samples) % self._buffer.size
        self._count -= samples
        self.timestamp += samples
