"""Sources and sinks of audio: silence, tones, echo, and a sink that feeds several.

They satisfy `softphone.media.interface.Source` and `Sink`.  Ring buffers (`pcm_ring`), WAV files
(`wav`) and the conversion of sample rates (`resample`) are re-exported here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from softphone.errors import ConfigurationError
from softphone.media.audio.pcm_ring import PcmRing
from softphone.media.audio.read_ahead import ReadAheadSource
from softphone.media.audio.resample import ResamplingSource, at_rate
from softphone.media.audio.tones import Cadence, ToneGenerator
from softphone.media.audio.wav import WavSink, WavSource

__all__ = [
    "EchoSource",
    "PcmRing",
    "ResamplingSource",
    "SilenceSource",
    "ToneSource",
    "WavSink",
    "WavSource",
    "at_rate",
]


class SilenceSource(ReadAheadSource):
    """Silence, endless or for `seconds`."""

    def __init__(self, clock_rate_hz: int = 8000, *, seconds: float | None = None) -> None:
        self.clock_rate_hz = clock_rate_hz
        """The sample rate in Hz."""
        self._left = sample_count(seconds, clock_rate_hz)

    @property
    def ended(self) -> bool:
        """Whether all samples were read."""
        return self._left == 0

    def read(self, samples: int) -> NDArray[np.int16]:
        """Return the next int16[samples], fewer at the end."""
        if self._left is not None:
            samples = min(samples, self._left)
            self._left -= samples
        return np.zeros(samples, dtype=np.int16)

    def unread(self, samples: int) -> None:
        """Take back the last `samples`: they are read again.

        :meta private:
        """
        if self._left is not None:
            self._left += samples


class ToneSource(ReadAheadSource):
    """A tone (a frequency in Hz, or a cadence), endless or for `seconds`.

    `level_dbm0` is the level of a single frequency; a cadence has its own.
    Raises ConfigurationError for a frequency of half the rate or more.
    """

    def __init__(
        self,
        tone: float | Cadence,
        clock_rate_hz: int = 8000,
        *,
        level_dbm0: float = -13.0,
        seconds: float | None = None,
    ) -> None:
        cadence = tone if isinstance(tone, Cadence) else Cadence((tone,), (), level_dbm0)
        self.clock_rate_hz = clock_rate_hz
        """The sample rate in Hz."""
        self._generator = ToneGenerator(cadence, clock_rate_hz)
        self._left = sample_count(seconds, clock_rate_hz)

    @property
    def ended(self) -> bool:
        """Whether all samples were read."""
        return self._left == 0

    def read(self, samples: int) -> NDArray[np.int16]:
        """Return the next int16[samples], fewer at the end."""
        if self._left is not None:
            samples = min(samples, self._left)
            self._left -= samples
        return self._generator.generate(samples)

    def unread(self, samples: int) -> None:
        """Take back the last `samples`: they are read again.

        :meta private:
        """
        self._generator.go_back(samples)
        if self._left is not None:
            self._left += samples


class EchoSource(PcmRing):
    """A sink and a source in one: it plays the audio that is written to it.

    `delay` seconds of silence come first; the ring holds `seconds` and drops the oldest samples.
    Raises ConfigurationError unless `delay` is less than `seconds`.
    """

    def __init__(
        self, clock_rate_hz: int = 8000, *, delay: float = 0.0, seconds: float = 1.0
    ) -> None:
        if not 0.0 <= delay < seconds:
            raise ConfigurationError("an echo's delay is less than what it holds")
        super().__init__(clock_rate_hz, seconds=seconds)
        self.write_samples(np.zeros(round(delay * clock_rate_hz), dtype=np.int16))

    @property
    def ended(self) -> bool:
        """False: an echo lasts as long as its stream."""
        return False


def sample_count(seconds: float | None, clock_rate_hz: int) -> int | None:
    """Return the number of samples in `seconds`; None: endless.

    Raises ConfigurationError for a rate below 1 Hz or a negative length.
    """
    if clock_rate_hz < 1 or (seconds is not None and seconds < 0.0):
        raise ConfigurationError("a source has a positive rate, and no negative length")
    return None if seconds is None else round(seconds * clock_rate_hz)
