"""What detectors see of sound."""

from __future__ import annotations

import numpy as np
import pytest

from softphone.media.audio.tones import power_level
from softphone.media.detection.spectrum import HISTORY, analyze_spectrum, decibels
from tests.support.sounds import samples, silence, tone, with_noise


def seen(sound):
    return analyze_spectrum(samples(sound)[None, -HISTORY:].astype(np.float32))


@pytest.mark.parametrize("frequency", [425.0, 1100.0, 2100.0, 3000.0])
def test_a_tone_is_one_line_at_its_frequency(frequency):
    sight = seen(tone(frequency, seconds=0.1, level=-20.0))
    assert sight.first[0] == pytest.approx(frequency, abs=2.0)
    assert sight.lone[0] > 0.98
    assert sight.level[0] == pytest.approx(-20.0, abs=0.3)
    assert sight.flatness[0] < 0.05


def test_two_tones_are_two_lines():
    sight = seen(tone(480.0, 1400.0, seconds=0.1))
    assert sorted([sight.first[0], sight.second[0]]) == pytest.approx([480.0, 1400.0], abs=3.0)
    assert sight.purity[0] > 0.98
    assert sight.lone[0] < 0.6


def test_noise_is_flat_and_holds_no_line():
    sight = seen(with_noise(silence(0.1), 0, level=-30.0))
    assert sight.flatness[0] > 0.4
    assert sight.purity[0] < 0.4
    assert sight.past[0] == pytest.approx(-30.0, abs=1.0)


def test_silence_has_a_level_too():
    sight = seen(silence(0.1))
    assert sight.level[0] == -100.0
    assert np.isfinite(sight.first[0])


def test_decibels_are_those_of_the_tones():
    pcm = samples(tone(1000.0, seconds=0.1, level=-25.0))
    power = np.array([np.mean(pcm.astype(np.float64) ** 2)], dtype=np.float32)
    assert decibels(power)[0] == pytest.approx(power_level(pcm), abs=0.01)
