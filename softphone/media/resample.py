"""Rate conversion that keeps its state from block to block, on soxr."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from softphone.errors import ConfigurationError

if TYPE_CHECKING:
    import soxr

__all__ = ["ResampleStream"]

LEAST_RATE, MOST_RATE = 4000, 192_000


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
        self._stream: soxr.ResampleStream | None = None
        if source_rate_hz != target_rate_hz:
            import soxr

            # "MQ" (16 bits) delays by a few ms; "HQ" would cost twice that for no audible gain.
            self._stream = soxr.ResampleStream(
                source_rate_hz, target_rate_hz, 1, dtype="int16", quality="MQ"
            )

    def feed(self, pcm: NDArray[np.int16], *, last: bool = False) -> NDArray[np.int16]:
        """Convert int16[n] to int16[m]; `last` also gives what the filter still holds."""
        if self._stream is None:
            return pcm
        converted: NDArray[np.int16] = self._stream.resample_chunk(
            np.ascontiguousarray(pcm), last=last
        )
        return converted
