"""What calls say, and whether it comes back: tones told apart by frequency, or a file.

A call plays the tone of its number; sources are shared, so that each is encoded once for all its
calls.  On sampled calls half a second is listened to: the tone must be loud enough and louder
than those of other calls, or the recording must be found again in the file.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from softphone.media import PcmBlock, Source
from softphone.media.audio import ToneSource, WavSource, tone_level

RATE = 8000
FREQUENCIES = (404.0, 504.0, 604.0, 704.0, 804.0, 904.0, 1004.0, 1104.0)
"""Hz; a hundred apart, so that half a second tells them apart, and none a harmonic of another."""
AUDIBLE_DBM0 = -30.0
MARGIN_DB = 10.0
"""How much louder than any other call's tone the right one must be."""
ALIKE = 0.5
"""The least normalized correlation of a recording with the file it should come from."""
SETTLE = 2400
LENGTH = 4000
LONGEST = 30 * RATE
"""Samples of a file that a recording is looked for in."""


class AudioCheckSink:
    """A sink that keeps half a second of sound, after it has let things settle."""

    def __init__(self) -> None:
        self._parts: list[NDArray[np.int16]] = []
        self._kept = 0
        self.dropped_samples = 0

    @property
    def clock_rate_hz(self) -> int:
        """The rate that it wants."""
        return RATE

    @property
    def complete(self) -> bool:
        """Whether it has heard enough."""
        return self._kept >= SETTLE + LENGTH

    def write(self, block: PcmBlock) -> None:
        """Take a block, until there is enough."""
        if not self.complete:
            self._parts.append(block.pcm)
            self._kept += block.pcm.size

    @property
    def pcm(self) -> NDArray[np.int16]:
        """What was heard, int16[4000] once it is complete."""
        heard = np.concatenate(self._parts) if self._parts else np.zeros(0, np.int16)
        return heard[SETTLE : SETTLE + LENGTH]


class AudioSources:
    """The sources of a run.  Raises ConfigurationError for a file that cannot be played."""

    def __init__(self, file: str | None = None) -> None:
        self._file = file
        self._wanted: NDArray[np.int16] | None = None
        if file is None:
            self._sources: tuple[Source, ...] = tuple(
                ToneSource(frequency, RATE) for frequency in FREQUENCIES
            )
            return
        self._sources = (WavSource(Path(file), RATE, loop=True),)
        self._wanted = WavSource(Path(file), RATE).read(LONGEST)

    def source_for_call(self, number: int) -> Source:
        """What call `number` says."""
        return self._sources[number % len(self._sources)]

    def heard(self, listener: AudioCheckSink, number: int) -> bool:
        """Whether a listener has heard what call `number` says."""
        pcm = listener.pcm
        if self._wanted is not None:
            return correlation(pcm, self._wanted) >= ALIKE
        levels = [tone_level(pcm, frequency, RATE) for frequency in FREQUENCIES]
        mine = levels.pop(number % len(FREQUENCIES))
        return mine >= AUDIBLE_DBM0 and mine >= max(levels) + MARGIN_DB


def correlation(heard: NDArray[np.int16], wanted: NDArray[np.int16]) -> float:
    """The best normalized correlation, 0.0 to 1.0, of `heard` with any place of a loop of `wanted`.

    Both are int16[samples] of one rate; silence is like nothing.
    """
    if not heard.size or not wanted.size:
        return 0.0
    turns = -(-(wanted.size + heard.size) // wanted.size)
    loop = np.tile(wanted.astype(np.float64), turns)[: wanted.size + heard.size]
    piece = heard.astype(np.float64)
    size = 1 << (loop.size + piece.size - 1).bit_length()
    product = np.fft.rfft(loop, size) * np.conj(np.fft.rfft(piece, size))
    found = np.fft.irfft(product, size)[: wanted.size]
    energy = np.concatenate(([0.0], np.cumsum(loop**2)))
    under = energy[piece.size : piece.size + wanted.size] - energy[: wanted.size]
    scale = np.sqrt(np.maximum(under, 0.0) * float(np.sum(piece**2)))
    alike = np.divide(np.abs(found), scale, out=np.zeros_like(found), where=scale > 1.0)
    return float(np.clip(alike.max(), 0.0, 1.0))
