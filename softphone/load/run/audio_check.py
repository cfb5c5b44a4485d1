"""The audio that calls play, and the check that it comes back: tones, or a file.

A call plays the tone of its number.  Calls share sources, so that each source is encoded once.
Sampled calls record half a second.  The check passes when the call's own tone is loud enough and
louder than those of other calls, or when the recording correlates with the file.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from softphone.media import PcmBlock, Source
from softphone.media.audio import ToneSource, WavSource, tone_level

RATE = 8000
FREQUENCIES = (404.0, 504.0, 604.0, 704.0, 804.0, 904.0, 1004.0, 1104.0)
"""In Hz: 100 Hz apart, which half a second resolves; none is a harmonic of another."""
AUDIBLE_DBM0 = -30.0
MARGIN_DB = 10.0
"""How much louder than any other tone the call's own must be, in dB."""
ALIKE = 0.5
"""The least normalized correlation between a recording and the played file."""
SETTLE = 2400
LENGTH = 4000
LONGEST = 30 * RATE
"""Samples of the file that are searched for a recording."""


class AudioCheckSink:
    """A sink that discards audio while the call settles, and then keeps half a second."""

    def __init__(self) -> None:
        self._parts: list[NDArray[np.int16]] = []
        self._kept = 0
        self.dropped_samples = 0

    @property
    def clock_rate_hz(self) -> int:
        """The sample rate of the recording."""
        return RATE

    @property
    def complete(self) -> bool:
        """Whether half a second has been recorded."""
        return self._kept >= SETTLE + LENGTH

    def write(self, block: PcmBlock) -> None:
        """Add a block; ignored once the recording is complete."""
        if not self.complete:
            self._parts.append(block.pcm)
            self._kept += block.pcm.size

    @property
    def pcm(self) -> NDArray[np.int16]:
        """The recording, int16[4000] once it is complete."""
        heard = np.concatenate(self._parts) if self._parts else np.zeros(0, np.int16)
        return heard[SETTLE : SETTLE + LENGTH]


class AudioSources:
    """The sources that the calls of a run share.

    Raises ConfigurationError for a file that cannot be played.
    """

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
        """The source that call `number` plays."""
        return self._sources[number % len(self._sources)]

    def heard(self, listener: AudioCheckSink, number: int) -> bool:
        """Whether the recording contains what call `number` plays."""
        pcm = listener.pcm
        if self._wanted is not None:
            return correlation(pcm, self._wanted) >= ALIKE
        levels = [tone_level(pcm, frequency, RATE) for frequency in FREQUENCIES]
        mine = levels.pop(number % len(FREQUENCIES))
        return mine >= AUDIBLE_DBM0 and mine >= max(levels) + MARGIN_DB


def correlation(heard: NDArray[np.int16], wanted: NDArray[np.int16]) -> float:
    """The best normalized correlation, 0.0 to 1.0, of `heard` at any offset in a loop of `wanted`.

    Both are int16[samples] at one rate; silence gives 0.0.
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
