"""Sounds for detectors: tones with their rhythms, syllables, silence, noise, and what is found."""

from __future__ import annotations

import numpy as np

from softphone.media.audio import Cadence, ToneGenerator
from softphone.media.audio.tones import amplitude_of, dtmf, power_level
from softphone.media.detection import DetectedSound, DetectorBank, DetectorKind
from tests.support.voice import voice

EVERYTHING = DetectorKind.DIGITS | DetectorKind.VOICE | DetectorKind.TONES | DetectorKind.ANSWER


def tone(*frequencies, seconds, rhythm=(), level=-13.0):
    """A tone, float64."""
    cadence = Cadence(frequencies, rhythm, level)
    return ToneGenerator(cadence, 8000).generate(round(seconds * 8000)).astype(float)


def keys(digits, *, on=0.05, off=0.05, level=-9.0):
    """Digits as tones."""
    parts = [
        ToneGenerator(dtmf(digit, on=on, off=off, level_dbm0=level), 8000).generate(
            round((on + off) * 8000)
        )
        for digit in digits
    ]
    return np.concatenate(parts).astype(float)


def silence(seconds):
    """Nothing."""
    return np.zeros(round(seconds * 8000))


def speech(seconds, *, level=-18.0, seed=1):
    """Syllables at a level."""
    sound = voice(round(seconds * 8000), 8000, seed=seed).astype(float)
    return sound * 10 ** ((level - power_level(np.rint(sound).astype(np.int16))) / 20)


def with_noise(sound, snr, *, level=-18.0, seed=0):
    """White noise below `level` by `snr` dB."""
    noise = np.random.default_rng(seed).standard_normal(sound.size)
    return sound + noise * amplitude_of(level - snr) / np.sqrt(2)


def samples(*parts):
    """One after the other, int16."""
    return np.clip(np.rint(np.concatenate(parts)), -32768, 32767).astype(np.int16)


def sweep(rate, seconds, top):
    """From 100 Hz to `top`, at any rate, float64."""
    time = np.arange(round(rate * seconds)) / rate
    return 12000 * np.sin(2 * np.pi * (100 * time + (top - 100) / (2 * seconds) * time**2))


def signal_to_error(got, wanted, rate):
    """In dB, without the first and the last 50 ms, where filters begin and end."""
    inner = slice(rate // 20, min(got.size, wanted.size) - rate // 20)
    error = got[inner] - wanted[inner]
    return 10 * np.log10(np.sum(wanted[inner] ** 2) / np.sum(error**2))


def found_in(*parts, wanted=EVERYTHING, block=160, model=None):
    """Everything that is found; speech by `model` where one is given."""
    bank, pcm, found = DetectorBank(4), samples(*parts), []
    row = bank.add_row(wanted, model)
    for start in range(0, pcm.size, block):
        bank.feed(row, pcm[start : start + block], 8000)
        found += [each for _, each in bank.run_detectors()]
    return found


def digits_in(*parts):
    """The digits that are found, one behind the other."""
    return "".join(each.what for each in found_in(*parts, wanted=DetectorKind.DIGITS))


def tones_in(*parts):
    """The names of the tones that are found."""
    return [
        each.what
        for each in found_in(*parts, wanted=DetectorKind.TONES)
        if isinstance(each, DetectedSound)
    ]
