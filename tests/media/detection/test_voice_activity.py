"""Who speaks, and since when."""

from __future__ import annotations

import numpy as np
import pytest

from softphone.media.detection import DetectorKind
from softphone.media.detection.spectrum import HISTORY, analyze_spectrum
from softphone.media.detection.voice_activity import HANGOVER, VoiceActivityBank
from tests.support.sounds import found_in, keys, silence, speech, tone, with_noise


def heard(*parts):
    return [(each.kind, each.at) for each in found_in(*parts, wanted=DetectorKind.VOICE)]


def test_speech_begins_and_ends_where_it_does():
    (start, stop) = heard(silence(1.0), speech(2.0), silence(1.0))
    assert start == ("voice", pytest.approx(1.0, abs=0.12))
    assert stop == ("silence", pytest.approx(3.0, abs=0.15))


def test_the_end_says_how_long_it_was():
    found = found_in(silence(1.0), speech(2.0), silence(1.0), wanted=DetectorKind.VOICE)
    assert found[-1].seconds == pytest.approx(2.0, abs=0.2)


@pytest.mark.parametrize("snr", [20, 10])
def test_speech_is_found_in_noise(snr):
    found = heard(with_noise(np.concatenate((silence(2.0), speech(2.0), silence(1.0))), snr))
    assert found[0][0] == "voice"
    assert found[0][1] == pytest.approx(2.0, abs=0.3)


@pytest.mark.parametrize("level", [-60.0, -40.0, -20.0])
def test_noise_alone_is_nobody(level):
    assert heard(with_noise(silence(10.0), 0, level=level)) == []


def test_a_noise_that_comes_up_is_nobody():
    assert heard(silence(1.0), with_noise(silence(5.0), 0, level=-25.0)) == []


def test_tones_and_digits_are_nobody():
    assert heard(tone(440.0, 480.0, seconds=3.0), silence(0.5), tone(1000.0, seconds=1.0)) == []
    assert heard(silence(0.5), keys("123456"), silence(0.5)) == []


def test_a_row_that_is_reset_is_silent_again():
    bank, rows = VoiceActivityBank(3), np.array([1], dtype=np.int32)
    sound = speech(2.0)
    for end in range(HISTORY, 8000, 160):
        bank.feed(rows, analyze_spectrum(sound[None, end - HISTORY : end].astype(np.float32)))
    assert bank.speaking[1]
    bank.reset(1)
    assert not bank.speaking.any()
    quiet = analyze_spectrum(np.zeros((1, HISTORY), dtype=np.float32))
    assert [bank.feed(rows, quiet) for _ in range(HANGOVER + 2)] == [[]] * (HANGOVER + 2)
