"""WAV files as a source and as a sink (stdlib wave: linear PCM of 8, 16, 24 and 32 bits)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from softphone.media.port import PcmBlock

__all__ = ["WavSink", "WavSource"]


class WavSource:
    """A WAV file as mono samples at `clock_rate_hz`, read as it is played; once or `loop`ed.

    Raises ConfigurationError when the file is missing, empty, not a WAV file, or not linear PCM.
    """

    def __init__(self, path: str | Path, clock_rate_hz: int = 8000, *, loop: bool = False) -> None:
        raise NotImplementedError

    @property
    def clock_rate_hz(self) -> int:
        """The rate of its samples as played."""
        raise NotImplementedError

    @property
    def ended(self) -> bool:
        """Whether all of it was read."""
        raise NotImplementedError

    def read(self, samples: int) -> NDArray[np.int16]:
        """Take out int16[samples], fewer at the end."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the file."""
        raise NotImplementedError


class WavSink:
    """Records mono 16-bit to a file that appears under its name, whole, on `close`.

    Until then it is written beside it, as `path` + ".part", with a header that is kept valid.
    `secure` makes the file readable by its owner only (0600), for the sound of encrypted calls.
    Raises ConfigurationError when `path` exists or cannot be written.
    """

    def __init__(self, path: str | Path, clock_rate_hz: int = 0, *, secure: bool = True) -> None:
        raise NotImplementedError

    @property
    def clock_rate_hz(self) -> int:
        """The rate of the file; 0 until the first block decides it."""
        raise NotImplementedError

    @property
    def dropped_samples(self) -> int:
        """Samples that could not be written (disk full)."""
        raise NotImplementedError

    def write(self, block: PcmBlock) -> None:
        """Append a block; a gap in the timestamps is filled with silence."""
        raise NotImplementedError

    def close(self) -> None:
        """Finish the header and give the file its name."""
        raise NotImplementedError
