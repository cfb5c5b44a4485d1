"""Received audio for an application: chunks at its rate, with media time and capture time.

A `PcmInput` is a `Sink` with a bounded queue.  When the application does not read, the oldest
chunks are dropped and counted, and the timestamps of the next ones show the gap.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from softphone.errors import ConfigurationError
from softphone.media.audio.pcm_output import check_rate
from softphone.media.audio.resample import ConvertingSink, Resampler
from softphone.media.audio.waiters import Waiters
from softphone.media.interface import Pcm, PcmBlock


@dataclass(frozen=True, slots=True)
class ReceivedAudio:
    """A chunk of the far end's sound, int16[n]; `bytes(heard)` gives its octets.

    `timestamp` is the media time of its first sample, in samples; it advances over gaps.
    `captured` is when the far end captured that sample, in seconds since 1970: by the far end's
    clock from its RTCP (`captured_by` "rtcp"), or by our clock, transit included ("arrival").
    `concealed`: some samples are concealment of lost packets.
    """

    pcm: Pcm
    clock_rate_hz: int
    timestamp: int
    captured: float
    captured_by: str
    concealed: bool = False

    def __len__(self) -> int:
        return self.pcm.size

    def __bytes__(self) -> bytes:
        return self.pcm.tobytes()

    @property
    def seconds(self) -> float:
        """The duration in seconds."""
        return self.pcm.size / self.clock_rate_hz

    def cut(self, samples: int) -> tuple[ReceivedAudio, ReceivedAudio]:
        """Split the chunk into its first `samples` and the rest."""
        later = self.captured + samples / self.clock_rate_hz
        rest = replace(
            self, pcm=self.pcm[samples:], timestamp=self.timestamp + samples, captured=later
        )
        return replace(self, pcm=self.pcm[:samples]), rest


class PcmInput(ConvertingSink):
    """Queues the far end's sound at `clock_rate_hz`, `seconds` at most, for an application.

    For one event loop.  Raises ConfigurationError for a rate other than 8,000, 16,000, 24,000 or
    48,000 Hz, or `seconds` outside 0.1 to 600.
    """

    def __init__(self, clock_rate_hz: int = 16000, *, seconds: float = 2.0) -> None:
        self.clock_rate_hz = check_rate(clock_rate_hz)
        """The sample rate of the chunks in Hz."""
        if not 0.1 <= seconds <= 600.0:
            raise ConfigurationError(f"a ring of {seconds:g} s is outside 0.1 to 600 s")
        self._most = round(seconds * clock_rate_hz)
        self._chunks: deque[ReceivedAudio] = deque()
        self.waiting_samples = 0
        """Samples that can be read without waiting."""
        self.dropped_samples = 0
        """Samples dropped unread: the queue was full, or their security generation was older."""
        self._generation = 0
        self._closed = False
        self._converter: Resampler | None = None
        self._expected: int | None = None
        self._lag = 0.0
        self._position = 0
        self._waiters = Waiters()

    # For the media loop -------------------------------------------------------------------------

    def write(self, block: PcmBlock) -> None:
        """Queue a block; one of a newer security generation first drops all older sound."""
        converter = self.prepare(block)
        if converter is not None:
            self.write_converted(block, converter.feed(block.pcm))

    def prepare(self, block: PcmBlock) -> Resampler | None:
        """Return the converter for a block; None: the block is dropped."""
        if self._closed:
            return None
        if block.security_generation < self._generation:
            self.dropped_samples += block.pcm.size
            return None
        if block.security_generation > self._generation:
            self._generation = block.security_generation
            self._converter = None
            self._drop_to(0)
        converter = self._converter
        if converter is None:
            converter = self._converter = Resampler(block.clock_rate_hz, self.clock_rate_hz)
        elif converter.source_rate_hz != block.clock_rate_hz:
            converter = converter.next_rates(block.clock_rate_hz, self.clock_rate_hz)
            self._converter = converter
        lag = self._lag = converter.lag
        if block.timestamp != self._expected:
            # A gap.
            self._position = round(
                (block.timestamp / block.clock_rate_hz - lag) * self.clock_rate_hz
            )
        self._expected = block.timestamp + block.pcm.size
        return converter

    def write_converted(self, block: PcmBlock, pcm: Pcm) -> None:
        """Queue the prepared block, converted to `pcm`."""
        if pcm.size:
            captured = block.captured - self._lag if block.captured else 0.0
            whose = "rtcp" if block.captured_by_sender else "arrival"
            self._chunks.append(
                ReceivedAudio(
                    pcm, self.clock_rate_hz, self._position, captured, whose, block.concealed
                )
            )
            self._position += pcm.size
            self.waiting_samples += pcm.size
        if self.waiting_samples > self._most:
            self._drop_to(self._most)
        if self._waiters:
            self._waiters.wake()

    def _drop_to(self, samples: int) -> None:
        while self.waiting_samples > samples:
            gone = self._chunks.popleft()
            self.waiting_samples -= len(gone)
            self.dropped_samples += len(gone)

    # For the application ------------------------------------------------------------------------

    async def read(self, samples: int | None = None) -> ReceivedAudio:
        """Wait for the next chunk, or for exactly `samples`.

        Returns fewer samples only at the end of the call, and none after it.  Raises
        ConfigurationError for more than the queue can hold.
        """
        if samples is not None and not 0 < samples <= self._most:
            raise ConfigurationError(f"{samples} samples do not fit into {self._most}")
        wanted = 1 if samples is None else samples
        while self.waiting_samples < wanted and not self._closed:
            await self._waiters.wait()
        if not self._chunks:
            return ReceivedAudio(
                np.zeros(0, dtype=np.int16), self.clock_rate_hz, self._position, 0.0, "arrival"
            )
        return self._pop_chunk() if samples is None else self._join(samples)

    def _pop_chunk(self) -> ReceivedAudio:
        heard = self._chunks.popleft()
        self.waiting_samples -= len(heard)
        return heard

    def _join(self, samples: int) -> ReceivedAudio:
        """Join chunks to `samples` or all there are; times are those of the first chunk."""
        parts: list[ReceivedAudio] = []
        lacking = samples
        while lacking and self._chunks:
            heard = self._pop_chunk()
            if len(heard) > lacking:
                heard, rest = heard.cut(lacking)
                self._chunks.appendleft(rest)
                self.waiting_samples += len(rest)
            parts.append(heard)
            lacking -= len(heard)
        return replace(
            parts[0],
            pcm=np.concatenate([part.pcm for part in parts]),
            concealed=any(part.concealed for part in parts),
        )

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ReceivedAudio:
        heard = await self.read()
        if not len(heard):
            raise StopAsyncIteration
        return heard

    def close(self) -> None:
        """End the input; queued chunks can still be read."""
        self._closed = True
        self._waiters.wake()
