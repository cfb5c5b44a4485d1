"""Comfort noise (RFC 3389): the level and color of a pause, measured, packed and played.

The payload is one octet of level in -dBov and reflection coefficients of 8 bits each.  Batched:
one call serves every row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from softphone_codecs.codec import Pcm

PAYLOAD_TYPE = 13
"""The static payload type at 8 kHz (RFC 3551 table 4)."""

MAX_ORDER = 10
"""Coefficients that we send and use; further ones of a longer payload are ignored."""

SILENCE = 127  # -dBov, the lowest level there is
# 0 dBov is the level of a square wave at full scale (RFC 3389 section 3.1).
_OVERLOAD = 32768.0
_FLOOR = 1e-12
_STEP = 258 / 32768  # of a quantized reflection coefficient (RFC 3389 section 3.2)


@dataclass(frozen=True, slots=True)
class ComfortNoise:
    """A decoded payload: `level` in -dBov (0 loud, 127 silent), `reflection` values in -1 to 1."""

    level: int
    reflection: tuple[float, ...] = ()


def measure_noise(pcm: Pcm, *, order: int = MAX_ORDER) -> list[ComfortNoise]:
    """Measure the noise of each row of int16[rows, samples], by Levinson-Durbin recursion."""
    signal = pcm.astype(np.float64)
    power = np.mean(signal**2, axis=1) / _OVERLOAD**2
    level = np.clip(np.rint(-10 * np.log10(power + _FLOOR)), 0, SILENCE).astype(int)
    reflection = _reflection(signal, order)
    return [ComfortNoise(int(level[row]), tuple(reflection[row])) for row in range(pcm.shape[0])]


def _reflection(signal: NDArray[np.float64], order: int) -> NDArray[np.float64]:
    """The reflection coefficients of each row, float64[rows, order]."""
    rows, samples = signal.shape
    windowed = signal * np.hanning(samples)
    lags = [np.sum(windowed[:, lag:] * windowed[:, : samples - lag], 1) for lag in range(order + 1)]
    correlation = np.stack(lags, axis=1)
    # A little white noise keeps the recursion stable on pure tones and on silence.
    error = correlation[:, 0] * (1 + 1e-4) + 1e-3
    predictor = np.zeros((rows, order))
    reflection = np.zeros((rows, order))
    for step in range(order):
        earlier = predictor[:, :step]
        found = correlation[:, step + 1] - np.sum(earlier * correlation[:, step:0:-1], axis=1)
        k = np.clip(found / error, -0.99, 0.99)
        predictor[:, :step] = earlier - k[:, None] * earlier[:, ::-1]
        predictor[:, step] = k
        # RFC 3389 section 3.2 uses the opposite sign: k of the prediction error.
        reflection[:, step] = -k
        error = error * (1 - k**2)
    return reflection


def pack_noise(noise: ComfortNoise) -> bytes:
    """Encode the payload (RFC 3389 sections 3.1 and 3.2)."""
    coefficients = [round(min(max(k, -1.0), 1.0) / _STEP) + 127 for k in noise.reflection]
    return bytes([min(max(noise.level, 0), SILENCE), *coefficients])


def unpack_noise(data: bytes) -> ComfortNoise | None:
    """Decode a payload; None if it is empty or its level has the reserved bit set."""
    if not data or data[0] > SILENCE:
        return None
    return ComfortNoise(data[0], tuple((octet - 127) * _STEP for octet in data[1 : 1 + MAX_ORDER]))


def _predictor(reflection: Sequence[float]) -> NDArray[np.float64]:
    """The polynomial A(z) of the prediction error, float64[order + 1], by the step-up recursion."""
    polynomial = np.ones(1)
    for k in reflection:
        longer = np.append(polynomial, 0.0)
        polynomial = longer + min(max(k, -0.99), 0.99) * longer[::-1]
    return polynomial


class ComfortNoiseGenerator:
    """Plays the noise of many rows, `samples` at a time; `seed` makes it repeatable.

    White noise is colored in the frequency domain, and blocks overlap with sine windows whose
    squares add up to one: the power stays even, and all rows share one transform.
    """

    def __init__(self, rows: int, *, samples: int, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._samples = samples
        self._window = np.sin(np.pi * (np.arange(2 * samples) + 0.5) / (2 * samples))
        self._color = np.zeros((rows, samples + 1))
        self._tail = np.zeros((rows, samples))

    def set_noise(self, row: int, noise: ComfortNoise) -> None:
        """Play this noise in `row` from now on."""
        size = 2 * self._samples
        color = 1 / np.abs(np.fft.rfft(_predictor(noise.reflection), size))
        weight = np.full(color.size, 2.0)
        weight[[0, -1]] = 1.0
        power = float(np.sum(weight * color**2)) / size
        amplitude = _OVERLOAD * 10 ** (-noise.level / 20) if noise.level < SILENCE else 0.0
        self._color[row] = color * amplitude / np.sqrt(power)

    def generate(self, rows: Sequence[int] | NDArray[np.intp]) -> Pcm:
        """Generate the next int16[rows, samples] of these rows."""
        chosen = np.asarray(rows, dtype=np.intp)
        white = self._random.standard_normal((chosen.size, 2 * self._samples))
        colored = np.fft.irfft(np.fft.rfft(white) * self._color[chosen], 2 * self._samples)
        block = colored * self._window
        out = block[:, : self._samples] + self._tail[chosen]
        self._tail[chosen] = block[:, self._samples :]
        return np.clip(np.rint(out), -32768, 32767).astype(np.int16)
