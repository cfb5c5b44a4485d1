"""The tones of networks, faxes and machines, by frequency and rhythm."""

from __future__ import annotations

import pytest

from softphone.media.detection.call_progress import is_tone
from tests.support.sounds import keys, silence, speech, tone, tones_in, with_noise

NETWORKS = {
    "ringback in America": ("ringback", (440.0, 480.0), (2.0, 4.0)),
    "ringback in Europe": ("ringback", (425.0,), (1.0, 4.0)),
    "ringback in Britain": ("ringback", (400.0, 450.0), (0.4, 0.2, 0.4, 2.0)),
    "busy in America": ("busy", (480.0, 620.0), (0.5, 0.5)),
    "busy in Europe": ("busy", (425.0,), (0.48, 0.48)),
    "busy in Britain": ("busy", (400.0,), (0.375, 0.375)),
    "congestion in America": ("congestion", (480.0, 620.0), (0.25, 0.25)),
    "congestion in Europe": ("congestion", (425.0,), (0.24, 0.24)),
}


@pytest.mark.parametrize("case", NETWORKS)
def test_a_network_is_understood_and_told_once(case):
    name, frequencies, rhythm = NETWORKS[case]
    assert tones_in(tone(*frequencies, seconds=13.0, rhythm=rhythm)) == [name]


@pytest.mark.parametrize("ratio", [20, 10])
@pytest.mark.parametrize("case", NETWORKS)
def test_noise_does_not_hide_it(case, ratio):
    name, frequencies, rhythm = NETWORKS[case]
    level = -13.0 if len(frequencies) == 1 else -16.0
    sound = tone(*frequencies, seconds=13.0, rhythm=rhythm, level=level)
    sound = with_noise(sound, ratio, level=-13.0)
    assert tones_in(sound) == [name]


@pytest.mark.parametrize(
    "notes",
    [
        ((950.0, 0.33), (1400.0, 0.33), (1800.0, 0.33)),
        ((913.8, 0.276), (1370.6, 0.276), (1776.7, 0.38)),
        ((985.2, 0.38), (1428.5, 0.276), (1776.7, 0.38)),
    ],
)
def test_special_information_tones(notes):
    parts = [tone(frequency, seconds=seconds) for frequency, seconds in notes]
    assert tones_in(silence(0.3), *parts, silence(1.0)) == ["sit"]


def test_a_fax_that_calls_and_one_that_answers():
    assert tones_in(tone(1100.0, seconds=8.0, rhythm=(0.5, 3.0)), silence(1.0)) == ["cng"]
    assert tones_in(silence(0.2), tone(2100.0, seconds=3.0), silence(1.0)) == ["ced"]


@pytest.mark.parametrize("frequency", [440.0, 850.0, 1000.0, 1400.0, 2000.0])
@pytest.mark.parametrize("seconds", [0.2, 0.4, 1.0])
def test_the_beep_of_a_machine(frequency, seconds):
    if frequency == 440.0 and seconds == 1.0:
        return  # this is how Europe rings
    sound = tone(frequency, seconds=seconds)
    assert tones_in(speech(1.5), silence(0.3), sound, silence(1.2)) == ["beep"]


def test_dial_tone_digits_and_speech_are_none_of_these():
    assert tones_in(tone(350.0, 440.0, seconds=5.0), silence(1.0)) == []
    assert tones_in(keys("1234567890"), silence(1.0)) == []
    assert tones_in(*(speech(10.0, seed=seed) for seed in (1, 2)), silence(1.0)) == []


def test_a_tone_is_told_from_its_level_and_its_purity():
    assert is_tone(-20.0, 0.99)
    assert not is_tone(-60.0, 0.99)
