"""DTMF heard in sound (ITU-T Q.23, Q.24): Goertzel's terms of many rows at once, every 10 ms.

A digit has one tone of each group, with limited twist, and hardly anything else: the last is what
keeps speech from being taken for digits.  Digits of 40 ms and more are told, once, at their end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from softphone.media.audio.tones import DTMF
from softphone.media.detection.spectrum import RATE, decibels

WINDOW = 240
STEP = 80
REACH = WINDOW + STEP
"""Samples that `feed` looks at: those of the frame, and what goes before them."""
LEAST_LEVEL = -36.0
"""dBm0 of each tone."""
LEAST_SHARE, BEST_SHARE = 0.7, 0.88
"""Of the power, that both tones hold in each step of a digit, and in the best of them."""
REVERSE_TWIST, NORMAL_TWIST = 9.0, 6.0
"""dB that the low group may be above the high one, and below it."""
OFF = (-0.018, -0.009, 0.0, 0.009, 0.018)
"""How far a tone may be from its frequency: 1.5 % is taken, 3.5 % is not."""
FEW = 12
"""Rows that are multiplied at once: of more, BLAS makes threads, which wait for one another."""
DISTANCE = 6.0
"""dB between the strongest tone of a group and the next."""
DROP = 5.0
"""dB below its loudest at which a digit is over."""
HITS = 2
"""Steps in a row that make a digit."""
LONGEST = 1000
"""Steps after which a digit that does not end is no digit."""

_ROWS = sorted({pair[0] for pair in DTMF.values()})
_COLUMNS = sorted({pair[1] for pair in DTMF.values()})
_DIGITS = "".join(
    next(digit for digit, pair in DTMF.items() if pair == (row, column))
    for row in _ROWS
    for column in _COLUMNS
)


def _terms() -> NDArray[np.float32]:
    """Cosines and sines, float32[WINDOW, 2 * 8 * len(OFF)]."""
    frequencies = np.outer([*_ROWS, *_COLUMNS], 1.0 + np.array(OFF)).ravel()
    turns = np.outer(np.arange(WINDOW), frequencies) / RATE
    terms = np.exp(-2j * np.pi * turns)
    return np.concatenate((terms.real, terms.imag), axis=1).astype(np.float32)


_TERMS = _terms()


@dataclass(frozen=True, slots=True)
class DtmfDigit:
    """A digit of `row` that is over, and about how long it was."""

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
        """A row begins anew."""
        self._heard[row], self._hits[row], self._missed[row] = -1, 0, 0

    def feed(self, rows: NDArray[np.int32], sound: NDArray[np.float32]) -> list[DtmfDigit]:
        """Take a frame of each row; `sound` float32[k, REACH] ends with it."""
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
        if not (np.count_nonzero(digit >= 0) or np.count_nonzero(heard >= 0)):
            return
        same = (digit == heard) & (digit >= 0) & (level > self._loudest[rows] - DROP)
        missed = np.where(same, 0, self._missed[rows] + 1)
        over = (heard >= 0) & ~same & ((missed >= 2) | (self._hits[rows] < HITS))
        self._missed[rows] = missed
        whole = (self._hits[rows] >= HITS) & (self._purest[rows] > BEST_SHARE)
        for at in np.flatnonzero(over & whole).tolist():
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
    """The digit in each row of float32[k, WINDOW], -1 for none, its level in dBm0, and the share
    of the power that it holds."""
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
