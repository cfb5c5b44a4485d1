"""Aligns both sides of a call as two channels, by media time.

`StereoTimeline` takes blocks of either side and gives stereo frames.  Silence fills what one side
lacks, and replaces both sides while the timeline is paused.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from softphone.media.audio.resample import Resampler
from softphone.media.interface import Pcm, PcmBlock

TOLERANCE = 0.01
"""Seconds by which a block may be misplaced without correction (rate conversion causes some)."""
PATIENCE = 0.5
"""Seconds that one side waits for the other before silence replaces it."""
LONGEST_GAP = 600.0
"""The most seconds of silence that one gap may add."""


class RecordingSide(IntEnum):
    """The channels: our side is the left one."""

    NEAR = 0
    FAR = 1


class _RecordingChannel:
    """One side: its waiting samples, and the position of the next one."""

    def __init__(self) -> None:
        self.waiting: list[Pcm] = []
        self.end = 0
        self.converter: Resampler | None = None

    def append_at(self, pcm: Pcm, at: int, tolerance: int, longest: int) -> None:
        gap = at - self.end
        if gap > tolerance:
            pcm = np.concatenate((np.zeros(min(gap, longest), dtype=np.int16), pcm))
        elif gap < -tolerance:
            pcm = pcm[-gap:]  # too late: silence has replaced these samples
        self.waiting.append(pcm)
        self.end += pcm.size


class StereoTimeline:
    """Turns blocks of two sides into int16[n, 2] at `clock_rate_hz` (0: the first block's)."""

    def __init__(self, clock_rate_hz: int = 0) -> None:
        self.clock_rate_hz = clock_rate_hz
        self.paused = False
        self._tracks = (_RecordingChannel(), _RecordingChannel())
        self._origin: float | None = None
        self._given = 0

    @property
    def seconds(self) -> float:
        """The duration of the frames taken so far."""
        return 0.0 if not self.clock_rate_hz else self._given / self.clock_rate_hz

    def add_block(self, side: RecordingSide, block: PcmBlock) -> None:
        """Add a block of one side, as silence while `paused`."""
        rate = self.clock_rate_hz = self.clock_rate_hz or block.clock_rate_hz
        track, time = self._tracks[side], block.timestamp / block.clock_rate_hz
        if self._origin is None:
            self._origin = time
        if track.converter is None or track.converter.source_rate_hz != block.clock_rate_hz:
            track.converter = Resampler(block.clock_rate_hz, rate)
        pcm = np.zeros_like(block.pcm) if self.paused else block.pcm
        at = round((time - self._origin) * rate)
        track.append_at(
            track.converter.feed(pcm), at, round(TOLERANCE * rate), round(LONGEST_GAP * rate)
        )

    def take_frames(self, *, last: bool = False) -> NDArray[np.int16]:
        """Return the frames that both sides have, or one side for `PATIENCE`; `last`: all."""
        ends = [track.end for track in self._tracks]
        until = max(ends)
        if not last:
            until = max(min(ends), until - round(PATIENCE * self.clock_rate_hz))
        count = max(until - self._given, 0)
        frames = np.zeros((count, 2), dtype=np.int16)
        for side, track in enumerate(self._tracks):
            if not count:
                break
            pcm = np.concatenate(track.waiting) if track.waiting else frames[:0, 0]
            frames[: min(pcm.size, count), side] = pcm[:count]
            track.waiting = [pcm[count:]] if pcm.size > count else []
            track.end = max(track.end, until)
        self._given += count
        return frames
