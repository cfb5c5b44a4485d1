"""Rate conversion that keeps its state from block to block: a polyphase FIR filter.

Every block fed gives the block that is due, 3 ms of sound later (at 8,000 Hz).  soxr is better
than needed for speech and holds back 100 ms at a time, which a conversation cannot afford.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from softphone.errors import ConfigurationError
from softphone.media.port import Source

__all__ = ["RateSource", "ResampleStream", "at_rate"]

LEAST_RATE, MOST_RATE = 4000, 192_000
ZERO_CROSSINGS = 24
"""Of the sinc on each side, at the lower of the two rates."""
KAISER_BETA = 8.0
FEW_PHASES = 16
"""Up to so many samples between two are filtered a phase at a time."""
FEW_STEPS = 2
"""Up to so far apart samples are filtered with those between them, which is quicker."""
LEAST, MOST = np.float32(-32768.0), np.float32(32767.0)
CUTOFF = 0.92
"""Of half the lower rate: 3.4 kHz at 8,000 Hz passes whole, aliases do not."""


class ResampleStream:
    """A streaming converter of mono int16 between two rates; the same rate passes through.

    Block boundaries leave no trace: feeding a signal in any pieces gives the same samples.
    Raises ConfigurationError for a rate outside 4,000 to 192,000 Hz.
    """

    def __init__(self, source_rate_hz: int, target_rate_hz: int) -> None:
        for rate in (source_rate_hz, target_rate_hz):
            if not LEAST_RATE <= rate <= MOST_RATE:
                raise ConfigurationError(
                    f"a sample rate of {rate} Hz is outside {LEAST_RATE} to {MOST_RATE} Hz"
                )
        self.source_rate_hz = source_rate_hz
        self.target_rate_hz = target_rate_hz
        divisor = math.gcd(source_rate_hz, target_rate_hz)
        self._up, self._down = target_rate_hz // divisor, source_rate_hz // divisor
        self._taps = polyphase(self._up, self._down)
        width = self._taps.shape[1]
        # The first output stands on the first input: half a filter of silence goes before it.
        self._held = np.zeros(width // 2 - 1 if self._up != self._down else 0, dtype=np.float32)
        self._position = 0
        self._recent: NDArray[np.int16] = np.zeros(0, dtype=np.int16)
        self._fed = False

    def next_rates(
        self, source_rate_hz: int, target_rate_hz: int, *, owed: float = 0.0
    ) -> ResampleStream:
        """A converter that goes on where this one is, with other rates and without a joint.

        `owed` seconds of what this one has given were not used, and are given once more.
        Raises ConfigurationError.
        """
        lag = self.lag + owed
        return self.after(self._recent, self.source_rate_hz, source_rate_hz, target_rate_hz, lag)

    @property
    def lag(self) -> float:
        """Seconds from the next sample that it will give to the end of what it was fed."""
        before = self._taps.shape[1] // 2 - 1 if self._up != self._down else 0
        ahead = self._held.size - before - self._position / self._up
        return ahead / self.source_rate_hz

    def rest(self) -> NDArray[np.int16]:
        """What the filter holds of what it was fed, int16[n]: silence follows.  Empty when
        nothing was fed since the last time."""
        if self._up == self._down or not self._fed:
            return np.zeros(0, dtype=np.int16)
        converted = self.feed(np.zeros(self._taps.shape[1], dtype=np.int16))
        self._fed = False
        return converted

    @classmethod
    def after(
        cls,
        heard: NDArray[np.generic],
        heard_rate_hz: int,
        source_rate_hz: int,
        target_rate_hz: int,
        lag: float = 0.0,
    ) -> ResampleStream:
        """A converter that goes on after `heard` [n], sound of another rate; its next sample
        stands `lag` seconds before the end of that.  Raises ConfigurationError."""
        made = cls(source_rate_hz, target_rate_hz)
        if not heard.size:
            return made
        # Where rates are equal nothing is held but what is still owed.
        before = made._taps.shape[1] // 2 - 1 if made._up != made._down else 0
        ahead = lag * source_rate_hz
        size = math.ceil(before + ahead - 1e-6)
        made._position = max(round((size - ahead - before) * made._up), 0)
        places = np.arange(-size, 0) / source_rate_hz
        known = np.arange(-heard.size, 0) / heard_rate_hz
        made._held = np.interp(places, known, heard.astype(np.float64)).astype(np.float32)
        made._recent = np.rint(np.clip(made._held, LEAST, MOST)).astype(np.int16)
        return made

    def feed(self, pcm: NDArray[np.int16], *, last: bool = False) -> NDArray[np.int16]:
        """Convert int16[n] to int16[m]; `last` also gives what the filter still holds."""
        self._remember(pcm)
        if self._up == self._down:
            owed, self._held = self._held, self._held[:0]
            return np.concatenate((owed.astype(np.int16), pcm)) if owed.size else pcm
        self._fed |= pcm.size > 0
        width = self._taps.shape[1]
        parts = (
            (self._held, pcm, np.zeros(width // 2, dtype=np.int16)) if last else (self._held, pcm)
        )
        held = np.concatenate(parts, dtype=np.float32)
        # Output k stands at input position (position + k * down) / up.
        room = (held.size - width + 1) * self._up - self._position
        count = max(-(-room // self._down), 0)
        sound = self._filter(held, count)
        used, self._position = divmod(self._position + self._down * count, self._up)
        self._held = held[used:]
        # A long way down can pass the end of what is there: the rest is owed by the next block.
        self._position += max(used - held.size, 0) * self._up
        # np.clip costs more than both of these.
        np.maximum(sound, LEAST, out=sound)
        np.minimum(sound, MOST, out=sound)
        return np.rint(sound, out=sound).astype(np.int16)

    def _remember(self, pcm: NDArray[np.int16]) -> None:
        """Keep the last 10 ms of what was fed, for a converter that goes on after this one."""
        kept = self.source_rate_hz // 100
        if pcm.size < kept:
            pcm = np.concatenate((self._recent, pcm))
        self._recent = pcm[-kept:].copy()

    def _filter(self, held: NDArray[np.float32], count: int) -> NDArray[np.float32]:
        """The next `count` samples, float32[count]."""
        width, up, down = self._taps.shape[1], self._up, self._down
        sound = np.zeros(count, dtype=np.float32)
        if up > FEW_PHASES and count:
            windows = np.lib.stride_tricks.sliding_window_view(held, width)
            places, phases = np.divmod(self._position + down * np.arange(count), up)
            np.einsum("ij,ij->i", windows[places], self._taps[phases], out=sound)
            return sound
        # Every up-th sample has the same phase, and stands `down` further on: no gathering.
        for first in range(min(up, count)):
            at, phase = divmod(self._position + down * first, up)
            wanted = -(-(count - first) // up)
            piece = held[at : at + (wanted - 1) * down + width]
            if down <= FEW_STEPS:
                found = np.correlate(piece, self._taps[phase], "valid")[::down]
            else:
                lines = np.lib.stride_tricks.as_strided(
                    piece, (wanted, width), (4 * down, 4), writeable=False
                )
                # Not by BLAS: its threads wait for one another where cores are scarce.
                found = np.einsum("ij,j->i", lines, self._taps[phase])
            sound[first::up] = found
        return sound


class RateSource:
    """Another source at another rate; it is read no further ahead than the conversion needs."""

    def __init__(
        self, source: Source, clock_rate_hz: int, *, converter: ResampleStream | None = None
    ) -> None:
        """`converter` has converted it until now, to another rate."""
        self._source = source
        self._rate = clock_rate_hz
        self._converter = converter or ResampleStream(source.clock_rate_hz, clock_rate_hz)
        self._ready = np.zeros(0, dtype=np.int16)
        self._finished = False

    @property
    def clock_rate_hz(self) -> int:
        """The rate of its samples."""
        return self._rate

    def at_rate(self, clock_rate_hz: int) -> RateSource:
        """The same source from here on at another rate; this one is not read any more."""
        rates = self._source.clock_rate_hz, clock_rate_hz
        owed = self._ready.size / self._rate
        converter = self._converter.next_rates(*rates, owed=owed)
        return RateSource(self._source, clock_rate_hz, converter=converter)

    @property
    def ended(self) -> bool:
        """Whether the source has ended and all of it was read."""
        return self._finished and not self._ready.size

    def read(self, samples: int) -> NDArray[np.int16]:
        """Take out at most `samples`; fewer mean that the source has no more now."""
        while self._ready.size < samples and not self._finished:
            lacking = samples - self._ready.size
            wanted = -(-lacking * self._source.clock_rate_hz // self._rate)
            pcm = self._source.read(wanted)
            self._finished = self._source.ended
            converted = self._converter.feed(pcm, last=self._finished)
            if pcm.size < wanted and not self._finished:
                # A gap: what the filter still holds belongs before it.
                converted = np.concatenate((converted, self._converter.rest()))
            self._ready = np.concatenate((self._ready, converted))
            if pcm.size < wanted:
                break
        taken, self._ready = self._ready[:samples], self._ready[samples:]
        return taken


def at_rate(source: Source, clock_rate_hz: int) -> Source:
    """`source` itself if it has that rate, else converted to it, continuously.

    Raises ConfigurationError for a rate that cannot be converted.
    """
    if source.clock_rate_hz == clock_rate_hz:
        return source
    return RateSource(source, clock_rate_hz)


@lru_cache(maxsize=32)
def polyphase(up: int, down: int) -> NDArray[np.float32]:
    """The filter of a ratio, float32[up, width]: one row for each position between two inputs."""
    scale = max(1.0, down / up)
    half = math.ceil(ZERO_CROSSINGS * scale)
    offset = np.arange(-half + 1, half + 1)[None, :] - np.arange(up)[:, None] / up
    cutoff = CUTOFF / scale
    shape = np.i0(KAISER_BETA * np.sqrt(np.clip(1.0 - (offset / half) ** 2, 0.0, 1.0)))
    taps = cutoff * np.sinc(cutoff * offset) * shape / np.i0(KAISER_BETA)
    # Every phase passes a constant unchanged.
    taps /= taps.sum(axis=1, keepdims=True)
    return taps.astype(np.float32)
