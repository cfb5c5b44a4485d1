"""The features that detectors use: level, purity, flatness and the two strongest tones of rows.

All sound is at 8,000 Hz, in frames of 20 ms; a spectrum covers the last 50 ms.  Levels are in
dBm0, as in `softphone.media.audio.tones`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from softphone.media.audio.tones import FULL_SCALE, FULL_SCALE_DBM0

RATE = 8000
FRAME_SAMPLES = 160
HISTORY = 400
"""Samples of one spectrum: 50 ms."""
POINTS = 512
BIN = RATE / POINTS
LOWEST, HIGHEST = round(200 / BIN), round(3400 / BIN)
LOBE = 4
"""Bins on each side of a peak that belong to it under the Hann window."""

_WINDOW = np.hanning(HISTORY + 2)[1:-1].astype(np.float32)
_GAIN = float(np.sum(_WINDOW.astype(np.float64) ** 2))

F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SpectrumFeatures:
    """The features of k rows now; each field is float32[k].

    `level` is that of the newest frame and `past` that of the last 50 ms, dBm0.  `first` and
    `second` are the frequencies of the strongest peaks, Hz; `purity` is the share of the power
    that both hold, `lone` the share of the first; `flatness` is 0 for a tone and about 0.5 for
    white noise (200 to 3,400 Hz).
    """

    level: F32
    past: F32
    first: F32
    second: F32
    purity: F32
    lone: F32
    flatness: F32


def decibels(power: F32) -> F32:
    """dBm0 of a mean square of 16-bit samples; silence is -100."""
    full = FULL_SCALE**2 / 2.0
    level: F32 = (10.0 * np.log10(np.maximum(power / full, 1e-11)) + FULL_SCALE_DBM0).astype(
        np.float32
    )
    return np.maximum(level, np.float32(-100.0))


def analyze_spectrum(history: F32) -> SpectrumFeatures:
    """Return the features of float32[k, HISTORY], the newest sample last."""
    square = np.square(history)
    level = decibels(square[:, -FRAME_SAMPLES:].mean(axis=1, dtype=np.float32))
    past = decibels(square.mean(axis=1, dtype=np.float32))
    # NumPy's FFT works in double precision for any input.
    spectrum = np.fft.rfft(history * _WINDOW, POINTS, axis=1)
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
    total = np.maximum(power.sum(axis=1), np.float32(1e-3))
    first, held, rest = _peak(power)
    second, more, _ = _peak(rest)
    speech = power[:, LOWEST:HIGHEST] + np.float32(1e-3)
    flatness = np.exp(np.log(speech).mean(axis=1)) / speech.mean(axis=1)
    return SpectrumFeatures(
        level,
        past,
        first,
        second,
        ((held + more) / total).astype(np.float32),
        (held / total).astype(np.float32),
        flatness.astype(np.float32),
    )


def _peak(power: F32) -> tuple[F32, F32, F32]:
    """Return frequency and power of each row's strongest peak, and the spectrum without it."""
    at = np.clip(power.argmax(axis=1), 1, power.shape[1] - 2)
    rows = np.arange(len(power))
    below, here, above = (power[rows, at + step] for step in (-1, 0, 1))
    # The vertex of a parabola through the logarithms gives a frequency between the bins.
    left, top, right = (np.log(each + np.float32(1e-3)) for each in (below, here, above))
    bend = left - 2.0 * top + right
    shift = np.where(np.abs(bend) > 1e-6, 0.5 * (left - right) / np.minimum(bend, -1e-6), 0.0)
    near = np.abs(np.arange(power.shape[1])[None, :] - at[:, None]) <= LOBE
    held = np.where(near, power, 0.0).sum(axis=1)
    frequency = (at + np.clip(shift, -0.5, 0.5)) * BIN
    return frequency.astype(np.float32), held.astype(np.float32), np.where(near, 0.0, power)
