"""The filter of rate conversion: a polyphase FIR over many rows at once, whose sums are exact.

Taps are multiples of 2^-30 and samples are whole numbers of 16 bits, so every product and every
sum fits into a float64 without rounding.  The order of adding is then of no account: neither the
border of a block nor the number of rows leaves a trace, whichever way BLAS takes.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

ZERO_CROSSINGS: Final = 24
"""Of the sinc on each side, at the lower of the two rates."""
KAISER_BETA: Final = 8.0
CUTOFF: Final = 0.92
"""Of half the lower rate: 3.4 kHz at 8,000 Hz passes whole, aliases do not."""
GRID: Final = float(1 << 30)
"""Taps are whole multiples of one over this; a sum of samples takes 17 bits above the point."""

FEW_PHASES: Final = 16
"""Up to so many samples between two are filtered as blocks, by one product of matrices."""
BLOCK: Final = 32
"""Samples of a block: more waste products with zeros, fewer read more of the same samples."""
ONE_THREAD: Final = 1 << 18
"""Multiplications of one product.  OpenBLAS shares larger ones among threads, which wait for one
another where cores are scarce."""
GATHERED: Final = 4096
"""Samples that are filtered at once where each has taps of its own."""


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
    # Every phase passes a constant unchanged: the middle tap takes what was rounded away.
    whole[:, half - 1] += GRID - whole.sum(axis=1)
    found: NDArray[np.float64] = whole / GRID
    found.flags.writeable = False
    return found


@lru_cache(maxsize=128)
def block_matrix(up: int, down: int, position: int) -> NDArray[np.float64]:
    """float64[inputs, outputs]: what a block of inputs is multiplied by.

    Output k stands at input (position + k * down) / up; whole periods, so that the next block is
    multiplied by the same.
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
    """The next `count` samples of each row of `held`, whole numbers float64[k, n]; float64[k,
    count].

    `ratio` is up, down; `position` where the first sample stands, in 1/up of an input.
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
        # What the last block has too much is not given out.
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
