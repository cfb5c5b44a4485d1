"""Tones: made phase-continuously (DTMF, call progress, comfort noise), and measured by Goertzel.

ITU-T Q.23 (DTMF) and E.180 (call progress).  Levels are dBm0 as in G.711: a full-scale sine is
+3.14 dBm0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BUSY",
    "DIAL",
    "DTMF",
    "REORDER",
    "RINGBACK",
    "Cadence",
    "NoiseGenerator",
    "ToneGenerator",
    "dtmf",
    "power_level",
    "tone_level",
]


@dataclass(frozen=True, slots=True)
class Cadence:
    """A tone and its rhythm: frequencies in Hz, seconds on and off; `off` () is continuous."""

    frequencies: tuple[float, ...]
    rhythm: tuple[float, ...] = ()
    level_dbm0: float = -13.0


DIAL = Cadence((350.0, 440.0))
RINGBACK = Cadence((440.0, 480.0), (2.0, 4.0), -19.0)
BUSY = Cadence((480.0, 620.0), (0.5, 0.5), -24.0)
REORDER = Cadence((480.0, 620.0), (0.25, 0.25), -24.0)

DTMF = {
    digit: (row, column)
    for row, digits in zip(
        (697.0, 770.0, 852.0, 941.0), ("123A", "456B", "789C", "*0#D"), strict=True
    )
    for digit, column in zip(digits, (1209.0, 1336.0, 1477.0, 1633.0), strict=True)
}
"""The two frequencies of each digit (ITU-T Q.23), Hz."""


def dtmf(digit: str, *, on: float = 0.1, off: float = 0.1, level_dbm0: float = -9.0) -> Cadence:
    """The tone of a digit.  Raises ConfigurationError for another character."""
    raise NotImplementedError


class ToneGenerator:
    """A cadence as int16 samples, continuous in phase from call to call."""

    def __init__(self, cadence: Cadence, clock_rate_hz: int) -> None:
        raise NotImplementedError

    def generate(self, samples: int) -> NDArray[np.int16]:
        """The next int16[samples]."""
        raise NotImplementedError


class NoiseGenerator:
    """Comfort noise: white, of a level, from a seeded generator."""

    def __init__(self, *, level_dbm0: float = -60.0, seed: int = 0) -> None:
        raise NotImplementedError

    def generate(self, rows: int, samples: int) -> NDArray[np.int16]:
        """int16[rows, samples]."""
        raise NotImplementedError


def tone_level(pcm: NDArray[np.int16], frequency: float, clock_rate_hz: int) -> float:
    """The level of one frequency in `pcm` int16[samples], dBm0 (-inf for none), by Goertzel."""
    raise NotImplementedError


def power_level(pcm: NDArray[np.int16]) -> float:
    """The level of all of `pcm` int16[samples], dBm0 (-inf for silence)."""
    raise NotImplementedError
