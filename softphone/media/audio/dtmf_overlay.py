"""DTMF tones (ITU-T Q.23) that replace a source's audio while they last."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from softphone.media.audio.tones import ToneGenerator, dtmf
from softphone.media.interface import Pcm, Source

GAP = 0.06
"""Seconds of silence after each digit."""
PAUSE = 0.5
"""Seconds of silence for a ","."""


def digit_tones(digits: str, *, duration_ms: int, clock_rate_hz: int) -> Pcm:
    """Return the tones of digits, int16[n].  Raises ConfigurationError for another character."""
    parts = []
    for digit in digits.upper():
        if digit == ",":
            parts.append(np.zeros(round(PAUSE * clock_rate_hz), dtype=np.int16))
            continue
        seconds = duration_ms / 1000.0
        tone = ToneGenerator(dtmf(digit, on=seconds, off=GAP), clock_rate_hz)
        parts.append(tone.generate(round((seconds + GAP) * clock_rate_hz)))
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int16)


class OverlaySource:
    """A source that replaces the audio of `source` (None: silence) by queued pieces of sound.

    `source` is still read meanwhile.  The overlay ends with it; without one, it ends after the last
    piece.
    """

    def __init__(self, source: Source | None, clock_rate_hz: int = 8000) -> None:
        self.source = source
        self.clock_rate_hz = clock_rate_hz if source is None else source.clock_rate_hz
        """The sample rate in Hz."""
        self._pieces: list[Pcm] = []

    @property
    def ended(self) -> bool:
        """Whether neither pieces nor the source have more samples."""
        return not self._pieces and (self.source is None or self.source.ended)

    def queue_pieces(self, pieces: Sequence[Pcm]) -> None:
        """Queue pieces of sound, to be played in order after those already queued."""
        self._pieces.extend(piece for piece in pieces if piece.size)

    def read(self, samples: int) -> Pcm:
        """Return the next samples, `samples` at most."""
        below = np.zeros(0, dtype=np.int16) if self.source is None else self.source.read(samples)
        if not self._pieces:
            return below
        above: list[Pcm] = []
        left = samples
        while left and self._pieces:
            piece = self._pieces.pop(0)
            above.append(piece[:left])
            if piece.size > left:
                self._pieces.insert(0, piece[left:])
            left -= above[-1].size
        covered = samples - left
        return np.concatenate((*above, below[covered:]))
