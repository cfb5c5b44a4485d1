"""Detects in-band DTMF (ITU-T Q.23, Q.24): Goertzel terms of many rows at once, every 10 ms.

A digit is one tone of each group, with limited twist, and hardly any other power.  The last
condition rejects speech.  A digit of 40 ms or more is reported once, at its end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from softphone.media.arrays import count_nonzero
from softphone.media.audio.tones import DTMF
from softphone.media.detection.spectrum import RATE, decibels

WINDOW = 240
STEP = 80
REACH = WINDOW + STEP
"""Samples that `feed` takes of each row: the frame and the samples before it."""
LEAST_LEVEL = -36.0
"""The least level of each tone in dBm0."""
LEAST_SHARE, BEST_SHARE = 0.7, 0.88
"""The least share of power in both tones, in each step of a digit and in its best step."""
REVERSE_TWIST, NORMAL_TWIST = 9.0, 6.0
"""The most dB by which the low group may be above the high group, and below it."""
OFF = (-0.018, -0.009, 0.0, 0.009, 0.018)
"""Relative frequency offsets that are tested: 1.5 % is accepted, 3.5 % is rejected (Q.24)."""
FEW = 12
"""Rows of one matrix product; for more, BLAS starts threads that wait for one another."""
DISTANCE = 6.0
"""The least dB between the strongest tone of a group and the next."""
DROP = 5.0
"""A digit ends when it falls this many dB below its loudest step."""
HITS = 2
"""Steps in a row that make a digit."""
LONGEST = 1000
"""A tone of this many steps or more is not reported as a digit."""

_ROWS = sorted({pair[0] for pair in DTMF.values()})
_COLUMNS = sorted({pair[1] for pair in DTMF.values()})
_DIGITS = "".join(
    next(digit for digit, pair in DTMF.items() if pair == (row, column))
    for row in _ROWS
    for column in _COLUMNS
)


def _terms() -> NDArray[np.float32]:
    """The cosines and sines of all tested frequencies, float32[WINDOW, 2 * 8 * len(OFF)]."""
    frequencies = np.outer([*_ROWS, *_COLUMNS], 1.0 + np.array(OFF)).ravel()
    turns = np.outer(np.arange(WINDOW), frequencies) / RATE
    terms = np.exp(-2j * np.pi * turns)
    return np.concatenate((terms.real, terms.imag), axis=1).astype(np.float32)


_TERMS = _terms()


@dataclass(frozen=True, slots=True)
class DtmfDigit:
    """A digit of `row` that has ended, and its approximate duration."""

    row: int
    digit: str
    duration_ms: float


class DtmfBank:
    """The state of `capacity` rows: which digit sounds, since when and how loud."""

    def __init__(self, capacity: int) -> None:
        self._heard = np.full(capacity, -1, dtype=np.int8)
        self._hits = np.zeros(capacity, dtype=np.int32)
        self._missed = np.zeros(capacity, dtype=np.int32)
        self._loudest = np.zeros(capacity, dtype=np.float32)
        self._purest = np.zeros(capacity, dtype=np.float32)

    def reset(self, row: int) -> None:
        """Reset the state of a row."""
        self._heard[row], self._hits[row], self._missed[row] = -1, 0, 0

    def feed(self, rows: NDArray[np.int32], sound: NDArray[np.float32]) -> list[DtmfDigit]:
        """Process a frame of each row, the last samples of `sound` float32[k, REACH].

        Returns the digits that have ended.
        """
        found: list[DtmfDigit] = []
        for start in (0, STEP):
            self._step(rows, *recognize_digits(sound[:, start : start + WINDOW]), found)
        return found

    def _step(
        self,
        rows: NDArray[np.int32],
        digit: NDArray[np.int8],
        level: NDArray[np.float32],
        share: NDArray[np.float32],
        found: list[DtmfDigit],
    ) -> None:
        heard = self._heard[rows]
        if not (count_nonzero(digit >= 0) or count_nonzero(heard >= 0)):
            return
        same = (digit == heard) & (digit >= 0) & (level > self._loudest[rows] - DROP)
        missed = np.where(same, 0, self._missed[rows] + 1)
        over = (heard >= 0) & ~same & ((missed >= 2) | (self._hits[rows] < HITS))
        self._missed[rows] = missed
        whole = (self._hits[rows] >= HITS) & (self._purest[rows] > BEST_SHARE)
        for at in (over & whole).nonzero()[0].tolist():
            row = int(rows[at])
            steps = int(self._hits[row])
            if steps < LONGEST:
                found.append(DtmfDigit(row, _DIGITS[int(heard[at])], 10.0 * (steps + 1)))
        fresh = (over | (heard < 0)) & (digit >= 0)
        self._hits[rows] = np.where(fresh, 1, np.where(over, 0, self._hits[rows] + same))
        self._heard[rows] = np.where(fresh, digit, np.where(over, np.int8(-1), heard))
        louder = np.maximum(self._loudest[rows], level)
        purer = np.maximum(self._purest[rows], np.where(same, share, 0.0))
        self._purest[rows] = np.where(fresh, share, purer)
        self._loudest[rows] = np.where(fresh, level, np.where(same, louder, self._loudest[rows]))


def recognize_digits(
    sound: NDArray[np.float32],
) -> tuple[NDArray[np.int8], NDArray[np.float32], NDArray[np.float32]]:
    """Recognize the digit in each row of float32[k, WINDOW].

    Returns its index (-1: none), its level in dBm0 and its share of the power."""
    pieces = [sound[first : first + FEW] @ _TERMS for first in range(0, max(len(sound), 1), FEW)]
    terms = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
    half = terms.shape[1] // 2
    square = terms[:, :half] ** 2 + terms[:, half:] ** 2
    power = square.reshape(-1, 8, len(OFF)).max(axis=2) * np.float32(2.0 / WINDOW**2)
    total = np.maximum(np.square(sound).mean(axis=1), np.float32(1e-6))
    low, high = power[:, :4], power[:, 4:]
    low_at, high_at = low.argmax(axis=1), high.argmax(axis=1)
    levels = decibels(power)
    ordered_low, ordered_high = np.sort(levels[:, :4], axis=1), np.sort(levels[:, 4:], axis=1)
    twist = ordered_high[:, -1] - ordered_low[:, -1]
    level = np.minimum(ordered_low[:, -1], ordered_high[:, -1])
    share = (low.max(axis=1) + high.max(axis=1)) / total
    there = (
        (level > LEAST_LEVEL)
        & (twist > -REVERSE_TWIST)
        & (twist < NORMAL_TWIST)
        & (ordered_low[:, -1] - ordered_low[:, -2] > DISTANCE)
        & (ordered_high[:, -1] - ordered_high[:, -2] > DISTANCE)
        & (share > LEAST_SHARE)
    )
    digit = np.where(there, 4 * low_at + high_at, -1).astype(np.int8)
    return digit, level.astype(np.float32), share.astype(np.float32)
