"""Synthetic speech: pulses of varying pitch through three formants."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["voice"]

FORMANTS = ((600, 80), (1200, 100), (2600, 150))  # Hz and bandwidth


def voice(samples: int, rate: int = 48000, *, seed: int = 1) -> NDArray[np.int16]:
    """int16[samples] of syllables, four a second, over a little noise."""
    time = np.arange(samples) / rate
    pitch = 120 + 30 * np.sin(2 * np.pi * 1.3 * time)
    pulses = np.diff(np.floor(np.cumsum(pitch) / rate), prepend=0)
    sound = np.zeros(samples)
    taps = np.arange(rate // 24)
    for frequency, bandwidth in FORMANTS:
        ringing = np.exp(-np.pi * bandwidth / rate * taps)
        response = ringing * np.sin(2 * np.pi * frequency * taps / rate)
        sound += np.convolve(pulses, response)[:samples]
    sound *= np.clip(np.sin(2 * np.pi * 4 * time), 0, 1)
    sound += 0.001 * np.random.default_rng(seed).standard_normal(samples)
    return (sound / np.abs(sound).max() * 12000).astype(np.int16)
