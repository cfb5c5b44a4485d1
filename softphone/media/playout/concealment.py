"""Loss concealment of decoded frames, in batches.

A missing frame is replaced by the last good one, reversed, then forward, and so on: this ignores
pitch but is continuous at frame boundaries.  It fades within a few frames into noise at the
stream's noise floor.  The frame after a gap is cross-faded in, so that there is no click.  (ITU-T
G.711 Appendix I repeats whole pitch periods instead, at a higher cost.)
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from softphone.media.arrays import ArrayGroup, column
from softphone.media.playout.frame import PLAYED
from softphone.media.playout.payload_ring import octet_columns

NOISE_LENGTH = 1 << 14
CROSSFADE = 0.25
"""Fraction of a frame over which sound is cross-faded in after a gap."""
LOUDEST_NOISE = 20.0
"""Root mean square: about -60 dBm0."""
NOISE_RISE = 1.02
"""Factor by which the noise floor may rise per frame."""


class Concealment(ArrayGroup):
    """The concealment state of `capacity` rows: last frame, noise floor, frames concealed so far.

    `samples` is the longest frame.
    """

    _last = column(np.int16, "samples")
    _gap = column(np.int64)
    _floor = column(np.float32)

    def __init__(self, capacity: int, samples: int, *, fade_frames: int = 3) -> None:
        super().__init__(capacity, samples=samples)
        self._fade_frames = fade_frames
        # Rows whose next frame does not follow the last one, whatever `spliced` says.
        self._joints: set[int] = set()
        # All rows share one block of noise, at different offsets.
        generator = np.random.default_rng(3389)
        self._noise = generator.standard_normal(NOISE_LENGTH + samples).astype(np.float32)

    def reset(self, row: int) -> None:
        """Reset the state of a row."""
        self.reset_row(row)
        self._joints.discard(row)

    @property
    def joints(self) -> bool:
        """Whether the next frame of some row does not follow its last one."""
        return bool(self._joints)

    def noise_energy(self, row: int) -> float:
        """Return the mean square of a row's noise floor; NaN at the maximum, LOUDEST_NOISE."""
        floor = float(self._floor[row])
        return floor * floor if floor < LOUDEST_NOISE else math.nan

    def follow(self, row: int, other: Concealment) -> None:
        """Copy the state of `row` from `other`, which has another sample rate, and cross-fade the
        next frame in from it."""
        samples, before = self._last.shape[1], other._last[row]
        places = np.linspace(0, before.size - 1, samples)
        self._last[row] = np.interp(places, np.arange(before.size), before).astype(np.int16)
        self._floor[row] = other._floor[row]
        self._gap[row] = other._gap[row]
        self._joints.add(row)

    def apply(
        self,
        rows: NDArray[np.integer[Any]],
        pcm: NDArray[np.int16],
        status: NDArray[np.uint8],
        spliced: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.float32]:
        """Conceal and smooth `pcm` int16[k, samples] in place; return the energy (mean square) of
        each frame, float32[k].

        `status` uint8[k] is the `FrameStatus`; frames that are not PLAYED are overwritten.
        `spliced` bool[k] (None: none) marks frames that do not follow the last one although nothing
        is missing.  The rows are distinct.
        """
        played = status == PLAYED
        gap = self._gap[rows]
        missing = (~played).nonzero()[0]
        if missing.size:
            pcm[missing] = self._substitute(rows[missing], gap[missing], pcm.shape[1])
            self._gap[rows[missing]] = gap[missing] + 1
        broken = gap > 0 if spliced is None else (gap > 0) | spliced
        if self._joints:
            broken = broken | np.isin(rows, list(self._joints))
            self._joints.difference_update(rows[played].tolist())
        resumed = (played & broken).nonzero()[0]
        if resumed.size:
            self._fade_in(rows[resumed], resumed, gap[resumed], pcm)
            self._gap[rows[resumed]] = 0
        kept = octet_columns(self._last.view(np.uint8), 0, 2 * pcm.shape[1])
        given = octet_columns(pcm.view(np.uint8), 0, 2 * pcm.shape[1])
        if missing.size:
            heard = played.nonzero()[0]
            kept[rows[heard]] = given[heard]
        else:
            kept[rows] = given
        return self._measure(rows, pcm, played)

    def _substitute(
        self, rows: NDArray[np.integer[Any]], gap: NDArray[np.int64], samples: int
    ) -> NDArray[np.int16]:
        """Return int16[k, samples] for the gap-th missing frame of each row."""
        before = np.maximum(1.0 - gap / self._fade_frames, 0.0)
        after = np.maximum(1.0 - (gap + 1) / self._fade_frames, 0.0)
        time = np.arange(samples, dtype=np.float32) / samples
        gain = (before[:, None] + (after - before)[:, None] * time).astype(np.float32)
        sound = self._last[rows, :samples].astype(np.float32)
        backwards = gap % 2 == 0
        sound[backwards] = sound[backwards, ::-1]
        offset = (gap * 7919 + rows * 4099) % NOISE_LENGTH
        noise = self._noise[offset[:, None] + np.arange(samples)] * self._floor[rows, None]
        mixed: NDArray[np.float32] = gain * sound + (1.0 - gain) * noise
        return mixed.astype(np.int16)

    def _fade_in(
        self,
        rows: NDArray[np.integer[Any]],
        at: NDArray[np.intp],
        gap: NDArray[np.int64],
        pcm: NDArray[np.int16],
    ) -> None:
        length = max(int(pcm.shape[1] * CROSSFADE), 1)
        leaving = self._substitute(rows, gap, pcm.shape[1])[:, :length]
        weight = (np.arange(length, dtype=np.float32) + 0.5) / length
        pcm[at, :length] = (weight * pcm[at, :length] + (1.0 - weight) * leaving).astype(np.int16)

    def _measure(
        self, rows: NDArray[np.integer[Any]], pcm: NDArray[np.int16], played: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        # Exact in float64, so that the order of the sum does not matter.
        sound = pcm.astype(np.float64)
        mean: NDArray[np.float64] = np.einsum("ij,ij->i", sound, sound) / pcm.shape[1]
        energy = mean.astype(np.float32)
        floor = np.minimum(np.sqrt(energy), self._floor[rows] * NOISE_RISE + 0.1)
        floor = np.minimum(floor, LOUDEST_NOISE)
        self._floor[rows] = np.where(played, floor, self._floor[rows])
        return energy
