"""Voice activity detection of many rows at once: when speech begins and ends.

Speech is louder than the quietest level of the last 1.5 s, and its spectrum is neither flat, like
noise, nor one or two lines, like a tone.  A beginning is reported after 60 ms, an end after a
pause of `HANGOVER` frames; both carry the time at which they happened.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from softphone.media.arrays import count_nonzero
from softphone.media.detection.spectrum import SpectrumFeatures

MEMORY = 75
"""Frames over which the minimum level is taken."""
ABOVE = 7.0
"""dB above the minimum level that speech must have."""
LEAST_LEVEL = -50.0
FLAT = 0.36
TONAL = 0.97
ONSET, OUT_OF = 3, 5
"""Speech begins when this many of the newest frames are speech."""
HANGOVER = 15
"""Frames without speech that end it: 300 ms."""


@dataclass(frozen=True, slots=True)
class VoiceActivityChange:
    """`row` began to speak, or stopped, `frames_ago` frames ago; at a stop, after `frames`."""

    row: int
    speaking: bool
    frames_ago: int
    frames: int = 0


class VoiceActivityBank:
    """The voice activity of `capacity` rows."""

    def __init__(self, capacity: int) -> None:
        self._levels = np.full((capacity, MEMORY), np.inf, dtype=np.float32)
        self._recent = np.zeros((capacity, OUT_OF), dtype=np.bool_)
        self._frames = np.zeros(capacity, dtype=np.int64)
        self._began = np.zeros(capacity, dtype=np.int64)
        self._last = np.zeros(capacity, dtype=np.int64)
        self.speaking = np.zeros(capacity, dtype=np.bool_)

    def reset(self, row: int) -> None:
        """Reset the state of a row."""
        self._levels[row] = np.inf
        self._recent[row] = False
        self._frames[row] = 0
        self.speaking[row] = False

    def feed(self, rows: NDArray[np.int32], sight: SpectrumFeatures) -> list[VoiceActivityChange]:
        """Process a frame of each row; return the beginnings and ends of speech."""
        frames = self._frames[rows]
        self._levels[rows, frames % MEMORY] = sight.past
        floor = self._levels[rows].min(axis=1)
        voiced = (
            (sight.level > np.maximum(floor + ABOVE, LEAST_LEVEL))
            & (sight.flatness < FLAT)
            & (sight.purity < TONAL)
        )
        self._recent[rows, frames % OUT_OF] = voiced
        self._frames[rows] = frames + 1
        last = self._last[rows] = np.where(voiced, frames, self._last[rows])
        speaking = self.speaking[rows]
        starts = ~speaking & voiced & (self._recent[rows].sum(axis=1) >= ONSET)
        stops = speaking & (frames - last >= HANGOVER)
        if not (count_nonzero(starts) or count_nonzero(stops)):
            return []
        self.speaking[rows] = (speaking | starts) & ~stops
        self._began[rows[starts]] = frames[starts] - OUT_OF + 1
        changes = [VoiceActivityChange(row, True, OUT_OF - 1) for row in rows[starts].tolist()]
        for at in stops.nonzero()[0].tolist():
            ago, spoke = int(frames[at] - last[at]), int(last[at] - self._began[rows[at]]) + 1
            changes.append(VoiceActivityChange(int(rows[at]), False, ago, spoke))
        return changes
