"""Generates phase-continuous tones (DTMF, call progress), and measures the level of a tone.

ITU-T Q.23 (DTMF) and E.180 (call progress).  Levels are dBm0 as in G.711: a full-scale sine is
+3.14 dBm0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from softphone.errors import ConfigurationError

FULL_SCALE = 32767.0
FULL_SCALE_DBM0 = 3.14
EDGE = 0.002
"""Seconds over which a tone rises and falls, so that it does not click."""
BLOCK = 1024
"""Samples generated at once, which bounds the temporary memory."""
LONGEST_PERIOD = 8000
"""The longest period, in samples, that is cached."""


@dataclass(frozen=True, slots=True)
class Cadence:
    """A tone and its cadence: `frequencies` in Hz, `rhythm` in seconds on, off, on, off ...

    Without a rhythm the tone is continuous.  `level_dbm0` is the level of each frequency.
    Raises ConfigurationError for a frequency or a time that is not positive.
    """

    frequencies: tuple[float, ...]
    rhythm: tuple[float, ...] = ()
    level_dbm0: float = -13.0

    def __post_init__(self) -> None:
        if any(frequency <= 0.0 for frequency in self.frequencies):
            raise ConfigurationError("a tone has positive frequencies")
        if len(self.rhythm) % 2 or any(part <= 0.0 for part in self.rhythm):
            raise ConfigurationError("a rhythm is pairs of positive seconds on and off")


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
    """Return the repeated tone of a digit.  Raises ConfigurationError for another character."""
    if digit not in DTMF:
        raise ConfigurationError(f"{digit[:1]!r} is not a DTMF digit: 0-9 * # A-D")
    return Cadence(DTMF[digit], (on, off), level_dbm0)


class ToneGenerator:
    """Generates a cadence as int16 samples, phase-continuous from call to call.

    Raises ConfigurationError for a frequency of half the rate or more.
    """

    def __init__(self, cadence: Cadence, clock_rate_hz: int) -> None:
        if any(frequency >= clock_rate_hz / 2 for frequency in cadence.frequencies):
            raise ConfigurationError(f"{clock_rate_hz} Hz carry tones below half of that only")
        self.cadence = cadence
        self._rate = clock_rate_hz
        self._position = 0
        self._amplitude = amplitude_of(cadence.level_dbm0)
        self._edges = np.cumsum(np.asarray((0.0, *cadence.rhythm)))
        self._length = _period(cadence, clock_rate_hz)
        self._periods: NDArray[np.int16] | None = None

    def generate(self, samples: int) -> NDArray[np.int16]:
        """The next int16[samples]."""
        start = self._position
        self._position += samples
        if not self._length:
            return self._make(start, samples)
        cached = self._periods
        # As many whole periods as are read at once, so that a read has two pieces at most.
        periods = -(-min(samples, LONGEST_PERIOD) // self._length) or 1
        if cached is None or cached.size < periods * self._length:
            cached = self._periods = np.tile(self._make(0, self._length), periods)
        start %= cached.size
        end = start + samples
        if end <= cached.size:
            return cached[start:end].copy()
        if end <= 2 * cached.size:
            return np.concatenate((cached[start:], cached[: end - cached.size]))
        return cached.take(np.arange(start, end), mode="wrap")

    def go_back(self, samples: int) -> None:
        """Generate the last `samples` again."""
        self._position -= samples

    def _make(self, start: int, samples: int) -> NDArray[np.int16]:
        sound = np.empty(samples, dtype=np.int16)
        for at in range(0, samples, BLOCK):
            sound[at : at + BLOCK] = self._block(start + at, min(BLOCK, samples - at))
        return sound

    def _block(self, start: int, samples: int) -> NDArray[np.int16]:
        time = np.arange(start, start + samples) / self._rate
        sound = np.zeros(samples)
        for frequency in self.cadence.frequencies:
            # Removing whole turns before the sine keeps it exact in a long tone.
            sound += np.sin(2.0 * np.pi * np.mod(frequency * time, 1.0))
        sound *= self._amplitude * self._envelope(time)
        return np.rint(np.clip(sound, -FULL_SCALE, FULL_SCALE)).astype(np.int16)

    def _envelope(self, time: NDArray[np.float64]) -> NDArray[np.float64]:
        if not self.cadence.rhythm:
            return np.ones(time.size)
        within = np.mod(time, self._edges[-1])
        envelope = np.zeros(time.size)
        for start, end in zip(self._edges[0:-1:2], self._edges[1::2], strict=True):
            nearest = np.minimum(within - start, end - within)
            envelope = np.maximum(envelope, np.clip(nearest / EDGE, 0.0, 1.0))
        return envelope


def _period(cadence: Cadence, clock_rate_hz: int) -> int:
    """The period of a continuous tone in samples; 0: none, or above `LONGEST_PERIOD`."""
    whole = all(frequency.is_integer() for frequency in map(float, cadence.frequencies))
    if cadence.rhythm or not whole:
        return 0
    period = clock_rate_hz // math.gcd(clock_rate_hz, *map(int, cadence.frequencies))
    return period if period <= LONGEST_PERIOD else 0


def amplitude_of(level_dbm0: float) -> float:
    """The amplitude of a sine of that level, on the 16-bit scale."""
    return FULL_SCALE * float(10.0 ** ((level_dbm0 - FULL_SCALE_DBM0) / 20.0))


def level_of(amplitude: float) -> float:
    """The level of a sine of that amplitude, dBm0; -inf for none."""
    if amplitude <= 0.0:
        return -math.inf
    return 20.0 * math.log10(amplitude / FULL_SCALE) + FULL_SCALE_DBM0


def tone_level(pcm: NDArray[np.int16], frequency: float, clock_rate_hz: int) -> float:
    """The level of one frequency in `pcm` int16[samples], dBm0 (-inf for none).

    It is one term of the Fourier transform (as by the Goertzel algorithm) under a Hann window,
    which keeps frequencies a few bins away from leaking in.
    """
    if not pcm.size:
        return -math.inf
    window = np.hanning(pcm.size + 2)[1:-1]
    turns = np.mod(frequency * np.arange(pcm.size) / clock_rate_hz, 1.0)
    term = np.dot(pcm * window, np.exp(-2j * np.pi * turns))
    return level_of(2.0 * float(abs(term)) / float(window.sum()))


def power_level(pcm: NDArray[np.int16]) -> float:
    """The level of all of `pcm` int16[samples], dBm0 (-inf for silence)."""
    if not pcm.size:
        return -math.inf
    return level_of(math.sqrt(2.0 * float(np.mean(np.square(pcm, dtype=np.float64)))))
