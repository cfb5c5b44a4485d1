"""Rate conversion that keeps its state from block to block, on soxr."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["ResampleStream"]


class ResampleStream:
    """A streaming converter of mono int16 between two rates; the same rate passes through.

    Block boundaries leave no trace: feeding a signal in any pieces gives the same samples.
    Raises ConfigurationError for a rate outside 4,000 to 192,000 Hz.
    """

    def __init__(self, source_rate_hz: int, target_rate_hz: int) -> None:
        raise NotImplementedError

    def feed(self, pcm: NDArray[np.int16], *, last: bool = False) -> NDArray[np.int16]:
        """Convert int16[n] to int16[m]; `last` also gives what the filter still holds."""
        raise NotImplementedError
