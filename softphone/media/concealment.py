"""Loss concealment of decoded frames, a batch at a time.

A missing frame is the last pitch-agnostic repetition, faded out over a few frames into comfort
noise; what follows a gap is cross-faded in, so that neither edge clicks (ITU-T G.711 Appendix I
does the same with pitch, at a higher price).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Concealment"]


class Concealment:
    """The memory of `capacity` rows: the last frame, its noise floor, how far it has faded."""

    def __init__(self, capacity: int, samples: int, *, fade_frames: int = 3) -> None:
        raise NotImplementedError

    def reset(self, row: int) -> None:
        """Forget what a row has played."""
        raise NotImplementedError

    def apply(
        self, rows: NDArray[np.int32], pcm: NDArray[np.int16], status: NDArray[np.uint8]
    ) -> None:
        """Fill in and smooth int16[k, samples] in place.

        `status` uint8[k] of `FrameStatus`; the samples of frames that were not PLAYED are ignored
        and overwritten.  Each row at most once.
        """
        raise NotImplementedError
