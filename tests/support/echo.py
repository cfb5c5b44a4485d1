"""Echo as a room or a line gives it, and how much of it is left."""

from __future__ import annotations

import numpy as np

FRAME = 160


def echo_of(played, *, rate=8000, delay=0.12, loss_db=10.0, seed=3):
    """What comes back of int16[n]: later, weaker, with reverberation of 30 ms; int16[n]."""
    random = np.random.default_rng(seed)
    taps = np.arange(round(0.03 * rate))
    response = random.standard_normal(taps.size) * 0.15 * np.exp(-taps / (0.008 * rate))
    response[0] = 1.0
    late = np.concatenate((np.zeros(round(delay * rate)), played.astype(float)))[: played.size]
    echo = np.convolve(late, response)[: played.size] * 10 ** (-loss_db / 20)
    return np.rint(echo + random.standard_normal(played.size) * 2.0).astype(np.int16)


def reduction_db(before, after, *, rate=8000):
    """By how many dB the power is lower, from the second second on."""
    power = [np.square(each[rate:].astype(float)).mean() for each in (before, after)]
    return 10.0 * np.log10(power[0] / max(power[1], 1e-3))
