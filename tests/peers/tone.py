"""How much of a tone is in a recording: Goertzel's algorithm over a WAV file or samples."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.int16]


def read_wav(path: Path) -> tuple[Samples, int]:
    """The first channel's samples and the rate of a 16-bit WAV file."""
    with wave.open(str(path), "rb") as file:
        if file.getsampwidth() != 2:
            raise ValueError(f"{path.name} has {8 * file.getsampwidth()} bits a sample")
        pcm = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
        return pcm[:: file.getnchannels()].astype(np.int16), file.getframerate()


def share(pcm: Samples, rate: int, hz: float) -> float:
    """The part of the energy that is the tone `hz`, 0.0 to 1.0; 0.0 for silence."""
    signal = pcm.astype(np.float64)
    energy = float(np.sum(signal**2))
    if energy < len(signal):
        return 0.0
    turn = np.exp(-2j * np.pi * hz * np.arange(len(signal)) / rate)
    return float(2 * abs(np.sum(signal * turn)) ** 2 / (len(signal) * energy))


def heard(pcm: Samples, rate: int, hz: float, window: float = 0.1) -> float:
    """For how many seconds the tone dominates, in windows of `window` seconds."""
    size = int(rate * window)
    windows = [pcm[at : at + size] for at in range(0, len(pcm) - size + 1, size)]
    return window * sum(share(one, rate, hz) > 0.8 for one in windows)
