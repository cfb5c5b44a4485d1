"""Sources and sinks of sound: silence, tones, rings, echo, and adapters between rates.

They satisfy `softphone.media.port.Source` and `Sink`.  WAV files are `softphone.media.wav`'s.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from softphone.media.port import PcmBlock, Sink, Source
from softphone.media.tones import Cadence

__all__ = [
    "EchoSource",
    "PcmRing",
    "SilenceSource",
    "TeeSink",
    "ToneSource",
    "at_rate",
]


class SilenceSource:
    """Zeros, for ever or for `seconds`."""

    def __init__(self, clock_rate_hz: int = 8000, *, seconds: float | None = None) -> None:
        raise NotImplementedError

    @property
    def clock_rate_hz(self) -> int:
        """The rate of its samples."""
        raise NotImplementedError

    @property
    def ended(self) -> bool:
        """Whether all of it was read."""
        raise NotImplementedError

    def read(self, samples: int) -> NDArray[np.int16]:
        """Take out int16[samples], fewer at the end."""
        raise NotImplementedError


class ToneSource:
    """A tone (a frequency in Hz, or a cadence), for ever or for `seconds`."""

    def __init__(
        self,
        tone: float | Cadence,
        clock_rate_hz: int = 8000,
        *,
        level_dbm0: float = -13.0,
        seconds: float | None = None,
    ) -> None:
        raise NotImplementedError

    @property
    def clock_rate_hz(self) -> int:
        """The rate of its samples."""
        raise NotImplementedError

    @property
    def ended(self) -> bool:
        """Whether all of it was read."""
        raise NotImplementedError

    def read(self, samples: int) -> NDArray[np.int16]:
        """Take out int16[samples], fewer at the end."""
        raise NotImplementedError


class PcmRing:
    """A bounded ring of mono samples at one rate, between the media loop and an application.

    It is a `Sink` (the media loop writes blocks, the application awaits `receive`) or a `Source`
    (the application `send`s, the media loop reads).  When it is full the oldest samples go, and
    are counted in `dropped_samples`.  For use in one event loop.
    """

    def __init__(self, clock_rate_hz: int = 8000, *, seconds: float = 2.0) -> None:
        raise NotImplementedError

    @property
    def clock_rate_hz(self) -> int:
        """The rate of the samples in the ring; blocks of another rate are converted to it."""
        raise NotImplementedError

    @property
    def dropped_samples(self) -> int:
        """Samples that were overwritten unread, or flushed because their security was older."""
        raise NotImplementedError

    @property
    def timestamp(self) -> int:
        """Media time of the next sample to be read, in samples; dropped ones count."""
        raise NotImplementedError

    @property
    def ended(self) -> bool:
        """Whether it was closed and is empty."""
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError

    def write(self, block: PcmBlock) -> None:
        """Take a block from the media loop.

        A block of a newer security generation drops all older samples first.
        """
        raise NotImplementedError

    def send(self, pcm: NDArray[np.int16]) -> None:
        """Put in int16[n] at the ring's rate."""
        raise NotImplementedError

    def read(self, samples: int) -> NDArray[np.int16]:
        """Take out at most `samples`, at once."""
        raise NotImplementedError

    async def receive(self, samples: int) -> NDArray[np.int16]:
        """Wait for exactly `samples`; fewer only after `close`, int16[0] at its end."""
        raise NotImplementedError

    async def drain(self, level: int = 0) -> None:
        """Wait until at most `level` samples are in the ring."""
        raise NotImplementedError

    def flush(self) -> int:
        """Drop everything; how many samples that was."""
        raise NotImplementedError

    def close(self) -> None:
        """Nothing more will be put in."""
        raise NotImplementedError


class EchoSource:
    """Both ends in one: what it is given as a sink comes out of it as a source, a little later."""

    def __init__(
        self, clock_rate_hz: int = 8000, *, delay: float = 0.0, seconds: float = 1.0
    ) -> None:
        raise NotImplementedError

    @property
    def clock_rate_hz(self) -> int:
        """The rate of its samples, both ways."""
        raise NotImplementedError

    @property
    def ended(self) -> bool:
        """Never: an echo lasts as long as its stream."""
        raise NotImplementedError

    @property
    def dropped_samples(self) -> int:
        """Samples that were overwritten unread."""
        raise NotImplementedError

    def write(self, block: PcmBlock) -> None:
        """Take a block of received sound."""
        raise NotImplementedError

    def read(self, samples: int) -> NDArray[np.int16]:
        """Take out at most `samples`."""
        raise NotImplementedError


class TeeSink:
    """Gives every block to several sinks."""

    def __init__(self, *sinks: Sink) -> None:
        raise NotImplementedError

    @property
    def clock_rate_hz(self) -> int:
        """The rate that they agree on, 0 for any."""
        raise NotImplementedError

    @property
    def dropped_samples(self) -> int:
        """The sum of theirs."""
        raise NotImplementedError

    def write(self, block: PcmBlock) -> None:
        """Take one block."""
        raise NotImplementedError


def at_rate(source: Source, clock_rate_hz: int) -> Source:
    """`source` itself if it has that rate, else converted to it, continuously."""
    raise NotImplementedError
