"""Audio that an application sends in a call: samples in any pieces, immediate flush, marks.

A `PcmOutput` is a `Source` over a bounded ring.  An engine in the application's loop reads the
ring directly; a worker reads it through shared memory (`share`), and its progress is polled every
10 ms.  A writer waits while the ring is full.
"""

from __future__ import annotations

import asyncio
from collections import deque

import numpy as np
import numpy.typing as npt

from softphone.errors import ConfigurationError
from softphone.media.audio.resample import FlushableSource
from softphone.media.audio.ring_audio import RingSource
from softphone.media.audio.shared_ring import SharedRing
from softphone.media.audio.waiters import Waiters
from softphone.media.interface import Pcm

RATES = (8000, 16000, 24000, 48000)


LEAST_LEAD = 0.02
"""Seconds: a frame.  With less to read the media loop would send gaps."""


def check_rate(clock_rate_hz: int) -> int:
    """Return the rate.  Raises ConfigurationError unless it is one of RATES."""
    if clock_rate_hz not in RATES:
        known = ", ".join(f"{rate:,}" for rate in RATES)
        raise ConfigurationError(f"a call's sound is read and written at {known} Hz")
    return clock_rate_hz


class PlaybackMark:
    """A position in the written samples, after the first `position` of them.

    `await mark.played()` returns True once all samples before it have been sent, and False if some
    never will be, after a flush or the end of the call.
    """

    def __init__(self, position: int) -> None:
        self.position = position
        self._reached: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    @property
    def done(self) -> bool:
        """Whether the mark has been resolved."""
        return self._reached.done()

    async def played(self) -> bool:
        """Wait for the outcome: whether all samples before the mark were sent."""
        return await asyncio.shield(self._reached)

    def resolve(self, played: bool) -> None:
        """Set the outcome; only the first call counts.

        :meta private:
        """
        if not self._reached.done():
            self._reached.set_result(played)


class PcmOutput(FlushableSource):
    """Queues an application's 16-bit mono samples at `clock_rate_hz`, `seconds` at most.

    `flushed_samples` counts samples written and never sent, `flushes` the flushes; `ring` is for
    the media loop only.  For one event loop.  Raises ConfigurationError for a rate other than
    8,000, 16,000, 24,000 or 48,000 Hz, or `seconds` outside 0.1 to 600.
    """

    def __init__(self, clock_rate_hz: int = 16000, *, seconds: float = 10.0) -> None:
        self.clock_rate_hz = check_rate(clock_rate_hz)
        """The sample rate in Hz."""
        if not 0.1 <= seconds <= 600.0:
            raise ConfigurationError(f"a ring of {seconds:g} s is outside 0.1 to 600 s")
        self._octets = 2 * round(seconds * clock_rate_hz)
        self.ring = SharedRing.local(self._octets)
        self._source = RingSource(self.ring, clock_rate_hz)
        self._half = b""
        self._marks: deque[PlaybackMark] = deque()
        self._waiters = Waiters()
        self._closed = False
        self.flushed_samples = 0
        self._flushes = 0
        self._withheld = 0
        """Samples of writes with a lead that are not in the ring yet."""

    # For the media loop -------------------------------------------------------------------------

    @property
    def flushes(self) -> int:
        """How often the output was flushed."""
        return self._flushes

    @property
    def ended(self) -> bool:
        """Whether the output was closed and all samples were read."""
        return self._source.ended

    def read(self, samples: int) -> Pcm:
        """Return the next samples without waiting, `samples` at most."""
        pcm = self._source.read(samples)
        if self._marks or self._waiters:
            self.update_marks()
        return pcm

    def share(self) -> int:
        """Move the samples into shared memory; return its descriptor, to be sent and closed.

        The worker reads it by a `RingSource`.  Raises OSError.
        """
        ring, descriptor = SharedRing.create(self._octets)
        # The new ring continues the positions of the old one, so that marks stay valid.
        ring.start_at(self.ring.taken)
        ring.write_octets(self.ring.read_octets(self._octets))
        if self._closed:
            ring.mark_ended()
        self.ring, self._source = ring, RingSource(ring, self.clock_rate_hz)
        return descriptor

    def update_marks(self) -> None:
        """Resolve the marks that the media loop has passed, and wake waiting writers."""
        if self._marks:
            confirmed = self.ring.confirmed // 2
            while self._marks and self._marks[0].position <= confirmed:
                self._marks.popleft().resolve(True)
        if self._waiters:
            self._wake()

    # For the application ------------------------------------------------------------------------

    @property
    def waiting_samples(self) -> int:
        """Samples that the media loop has not read yet."""
        return self.ring.available // 2

    @property
    def written_samples(self) -> int:
        """Samples written so far."""
        return self.ring.written // 2

    async def write(
        self,
        pcm: npt.NDArray[np.int16] | bytes | bytearray | memoryview,
        *,
        lead: float | None = None,
    ) -> None:
        """Write any number of samples; wait while the ring is full.

        `pcm` is int16[n], or its octets in native byte order, split anywhere.  After `close`,
        samples are dropped and counted.  With `lead`, wait while more than so many seconds of sound
        are still to be sent: the write takes as long as its sound, less the lead.  A `flush` then
        also drops the samples that wait here; a canceled write leaves at most the lead.  Raises
        ConfigurationError for another dtype or shape, or a lead outside 0.02 s to the ring's.
        """
        octets, most, flushes = self._octets_of(pcm), self._octets, self._flushes
        if lead is not None:
            longest = self._octets / 2 / self.clock_rate_hz
            if not LEAST_LEAD <= lead <= longest:
                raise ConfigurationError(
                    f"a lead of {lead:g} s is outside {LEAST_LEAD:g} to {longest:g} s"
                )
            most = 2 * round(lead * self.clock_rate_hz)
        while octets.size and not self._closed:
            free = min(self.ring.free_octets, most - self.ring.available) & ~1
            if free > 0:
                self.ring.write_octets(octets[:free])
                octets = octets[free:]
                continue
            paced = 0 if lead is None else octets.size // 2
            self._withheld += paced
            try:
                await self._waiters.wait()
            finally:
                if self._flushes == flushes:
                    self._withheld -= paced
            if paced and self._flushes != flushes:
                # `flush` has counted them.
                return
        self.flushed_samples += octets.size // 2

    def _octets_of(
        self, pcm: npt.NDArray[np.int16] | bytes | bytearray | memoryview
    ) -> npt.NDArray[np.uint8]:
        if isinstance(pcm, np.ndarray):
            if pcm.dtype != np.int16 or pcm.ndim != 1:
                raise ConfigurationError("sound is written as int16 samples in one dimension")
            return np.ascontiguousarray(pcm).view(np.uint8)
        whole = self._half + bytes(pcm)
        self._half = whole[len(whole) & ~1 :]
        return np.frombuffer(whole[: len(whole) & ~1], dtype=np.uint8)

    def mark(self) -> PlaybackMark:
        """Return a mark after all samples written so far."""
        mark = PlaybackMark(self.written_samples)
        if self._closed:
            mark.resolve(self.ring.confirmed // 2 >= mark.position)
        else:
            self._marks.append(mark)
        return mark

    def flush(self) -> int:
        """Drop all waiting samples: silence from the next frame on.

        Returns the number of samples dropped, those of waiting writes with a lead included; a
        worker may have just sent one frame of them.
        Resolves the marks after unsent samples to False.
        """
        taken = self.ring.taken // 2
        left = self.ring.flush() // 2 + self._withheld
        self._flushes += 1
        self._withheld = 0
        self._half = b""
        self.flushed_samples += left
        kept = [mark for mark in self._marks if mark.position <= taken]
        for mark in self._marks:
            if mark.position > taken:
                mark.resolve(False)
        self._marks = deque(kept)
        self._wake()
        return left

    def close(self, *, ended: bool = False) -> None:
        """End the output; `ended`: the call is over, and the remaining marks resolve to False."""
        self._closed = True
        self.ring.mark_ended()
        if ended:
            for mark in self._marks:
                mark.resolve(False)
            self._marks.clear()
        self._wake()

    def _wake(self) -> None:
        if self.ring.free_octets < 2 and not self._closed:
            return
        self._waiters.wake()
