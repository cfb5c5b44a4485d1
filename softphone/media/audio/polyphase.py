"""The filter of rate conversion: a polyphase FIR over many rows at once, with exact sums.

Taps are multiples of 2^-30 and samples are 16-bit integers, so each product and each sum fits into
a float64 without rounding.  The order of addition then cannot change the result: it does not
depend on block boundaries, on the number of rows, or on the algorithm that BLAS chooses.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

ZERO_CROSSINGS: Final = 24
"""Zero crossings of the sinc on each side, at the lower of the two rates."""
KAISER_BETA: Final = 8.0
CUTOFF: Final = 0.92
"""The cutoff as a share of half the lower rate: at 8,000 Hz, 3.4 kHz passes and aliases do not."""
GRID: Final = float(1 << 30)
"""Taps are whole multiples of one over this; a sum needs 17 bits above the binary point."""

FEW_PHASES: Final = 16
"""Ratios with at most this many phases are filtered in blocks, by one matrix product."""
BLOCK: Final = 32
"""Samples of a block: larger ones multiply more zeros, smaller ones read more samples twice."""
ONE_THREAD: Final = 1 << 18
"""The most multiplications of one matrix product.  OpenBLAS splits larger ones among threads,
which wait for one another when cores are busy."""
GATHERED: Final = 4096
"""Samples that are filtered at once when each has its own taps."""
MOST_PHASES: Final = 8192
"""The largest term of a ratio: a file of 191,999 Hz would take a filter of 74 MB, and seconds."""


def ratio_of(target_rate_hz: int, source_rate_hz: int) -> tuple[int, int]:
    """Return the ratio of two rates in terms of at most `MOST_PHASES`.

    It is exact for all rates in use; else the nearest one, which is off by less than 0.013 %.
    """
    exact = Fraction(target_rate_hz, source_rate_hz)
    if exact > 1:
        near = 1 / (1 / exact).limit_denominator(MOST_PHASES)
    else:
        near = exact.limit_denominator(MOST_PHASES)
    return near.numerator, near.denominator


@lru_cache(maxsize=32)
def polyphase(up: int, down: int) -> NDArray[np.float64]:
    """The filter of a ratio, float64[up, width]: one row for each position between two inputs."""
    scale = max(1.0, down / up)
    half = math.ceil(ZERO_CROSSINGS * scale)
    offset = np.arange(-half + 1, half + 1)[None, :] - np.arange(up)[:, None] / up
    cutoff = CUTOFF / scale
    shape = np.i0(KAISER_BETA * np.sqrt(np.clip(1.0 - (offset / half) ** 2, 0.0, 1.0)))
    taps = cutoff * np.sinc(cutoff * offset) * shape / np.i0(KAISER_BETA)
    whole = np.rint(taps * (GRID / taps.sum(axis=1, keepdims=True)))
    # The middle tap takes the rounding error, so that each phase has unity gain at DC.
    whole[:, half - 1] += GRID - whole.sum(axis=1)
    found: NDArray[np.float64] = whole / GRID
    found.flags.writeable = False
    return found


@lru_cache(maxsize=128)
def block_matrix(up: int, down: int, position: int) -> NDArray[np.float64]:
    """Return the matrix float64[inputs, outputs] that filters a block of inputs.

    Output k is at input (position + k * down) / up.  A block is a whole number of periods, so the
    next block has the same matrix.
    """
    taps = polyphase(up, down)
    width, outputs = taps.shape[1], max(BLOCK // up, 1) * up
    last = (position + (outputs - 1) * down) // up
    matrix = np.zeros((last + width, outputs))
    for output in range(outputs):
        at, phase = divmod(position + output * down, up)
        matrix[at : at + width, output] = taps[phase]
    matrix.flags.writeable = False
    return matrix


def filter_rows(
    held: NDArray[np.float64], ratio: tuple[int, int], position: int, count: int
) -> NDArray[np.float64]:
    """Return the next `count` samples, float64[k, count], of `held` float64[k, n] (integers).

    `ratio` is (up, down); `position` is the place of the first sample, in 1/up of an input.
    """
    if count == 0:
        return np.zeros((held.shape[0], 0))
    if ratio[0] > FEW_PHASES:
        return _filter_gathered(held, ratio, position, count)
    matrix = block_matrix(*ratio, position)
    size, outputs = matrix.shape
    step = outputs // ratio[0] * ratio[1]
    rows, blocks = held.shape[0], -(-count // outputs)
    needed = (blocks - 1) * step + size
    if held.shape[1] < needed or not held.flags.c_contiguous:
        # Drop the samples of the last block beyond `count`.
        padded = np.zeros((rows, max(needed, held.shape[1])))
        padded[:, : held.shape[1]] = held
        held = padded
    strides = held.strides[0], 8 * step, 8
    windows: NDArray[np.float64] = np.ndarray((rows, blocks, size), np.float64, held, 0, strides)
    sound = np.empty((rows, blocks, outputs))
    most = max(ONE_THREAD // matrix.size, 1)
    lines = max(most // blocks, 1)
    for row in range(0, rows, lines):
        for block in range(0, blocks, most):
            part = slice(row, row + lines), slice(block, block + most)
            into = sound[part].reshape(-1, outputs)
            np.dot(windows[part].reshape(-1, size), matrix, out=into)
    return sound.reshape(rows, -1)[:, :count]


def _filter_gathered(
    held: NDArray[np.float64], ratio: tuple[int, int], position: int, count: int
) -> NDArray[np.float64]:
    (up, down), taps = ratio, polyphase(*ratio)
    windows = np.lib.stride_tricks.sliding_window_view(held, taps.shape[1], axis=1)
    sound = np.empty((held.shape[0], count))
    for first in range(0, count, GATHERED):
        outputs = np.arange(first, min(first + GATHERED, count))
        places, phases = np.divmod(position + down * outputs, up)
        for row in range(held.shape[0]):
            into = sound[row, first : first + GATHERED]
            np.einsum("ij,ij->i", windows[row, places], taps[phases], out=into)
    return sound
