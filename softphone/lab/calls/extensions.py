"""The extensions that the lab answers itself: an echo, a tone, hold music, silence."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from softphone.media import Sink, Source
from softphone.media.audio import Cadence, EchoSource, SilenceSource, ToneGenerator, ToneSource

# Notes in Hz, half a second each: an arpeggio up and down.
_MELODY = (261.63, 329.63, 392.0, 523.25, 392.0, 329.63)
_NOTE = 0.5


class MelodySource:
    """Hold music: repeats the notes of `frequencies` without end."""

    def __init__(self, frequencies: tuple[float, ...] = _MELODY, clock_rate_hz: int = 8000) -> None:
        self._generators = [
            ToneGenerator(Cadence((frequency,), level_dbm0=-16.0), clock_rate_hz)
            for frequency in frequencies
        ]
        self._rate = clock_rate_hz
        self._position = 0

    @property
    def clock_rate_hz(self) -> int:
        """The sample rate."""
        return self._rate

    @property
    def ended(self) -> bool:
        """Always False."""
        return False

    def read(self, samples: int) -> NDArray[np.int16]:
        """Read int16[samples]."""
        length = int(_NOTE * self._rate)
        parts: list[NDArray[np.int16]] = []
        while samples > 0:
            note, offset = divmod(self._position, length)
            count = min(samples, length - offset)
            parts.append(self._generators[note % len(self._generators)].generate(count))
            self._position += count
            samples -= count
        return np.concatenate(parts) if parts else np.zeros(0, np.int16)


EXTENSIONS = frozenset({"600", "601", "602", "603"})
"""The names of the extensions: an echo, a tone, a melody and silence."""


def extension(name: str) -> tuple[Source, Sink | None] | None:
    """The source and sink of an extension; None when there is no such extension."""
    if name == "600":
        echo = EchoSource(8000)
        return echo, echo
    if name == "601":
        return ToneSource(440.0, 8000), None
    if name == "602":
        return MelodySource(), None
    if name == "603":
        return SilenceSource(8000), None
    return None
