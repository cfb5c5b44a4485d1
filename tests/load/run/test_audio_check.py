"""Whether what comes back is what was said: by tone, and by likeness to a file."""

from __future__ import annotations

import wave

import numpy as np
import pytest

from softphone.errors import ConfigurationError
from softphone.load.run.audio_check import FREQUENCIES, AudioCheckSink, AudioSources, correlation
from softphone.media import PcmBlock


def listener(pcm):
    made = AudioCheckSink()
    for at in range(0, pcm.size, 160):
        made.write(PcmBlock(pcm[at : at + 160], 8000, at, 0))
    return made


def said(sounds, number, samples=8000):
    return sounds.source_for_call(number).read(samples)


def noise(samples=8000, seed=1, loud=3000.0):
    generator = np.random.default_rng(seed)
    return (generator.standard_normal(samples) * loud).astype(np.int16)


def test_a_call_hears_its_own_tone_and_not_anothers():
    sounds = AudioSources()
    for number in range(len(FREQUENCIES)):
        heard = listener(said(sounds, number))
        assert sounds.heard(heard, number)
        assert not sounds.heard(heard, number + 1)


def test_a_tone_in_noise_is_heard_and_noise_alone_is_not():
    sounds = AudioSources()
    tone = said(sounds, 3)
    assert sounds.heard(listener((tone + noise(loud=300.0)).astype(np.int16)), 3)
    assert not sounds.heard(listener(noise()), 3)


@pytest.mark.parametrize("pcm", [np.zeros(8000, np.int16), np.zeros(0, np.int16)])
def test_silence_is_not_what_was_said(pcm):
    assert not AudioSources().heard(listener(pcm), 0)


def test_two_calls_at_once_are_crosstalk():
    sounds = AudioSources()
    both = (said(sounds, 1) + said(sounds, 2)).astype(np.int16)
    assert not sounds.heard(listener(both), 1)


def test_a_listener_lets_things_settle_and_keeps_half_a_second():
    made = listener(np.arange(8000, dtype=np.int16))
    assert made.complete
    assert made.pcm.size == 4000
    assert made.pcm[0] == 2400
    assert not listener(np.zeros(3000, np.int16)).complete


@pytest.fixture
def speech(tmp_path):
    """A file that changes all the time, as speech does."""
    path = tmp_path / "speech.wav"
    pcm = noise(16000, seed=2)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(pcm.tobytes())
    return path, pcm


def test_a_piece_of_a_file_is_found_again_wherever_it_began(speech):
    path, pcm = speech
    sounds = AudioSources(str(path))
    looped = np.concatenate([pcm, pcm])
    for begin in (0, 5000, 14000):
        assert sounds.heard(listener(looped[begin : begin + 8000] // 2), 0)
    assert not sounds.heard(listener(noise(seed=9)), 0)
    assert not sounds.heard(listener(np.zeros(8000, np.int16)), 0)


def test_correlation_is_one_for_the_same_and_small_for_strangers():
    pcm = noise()
    assert correlation(pcm[1000:5000], pcm) == pytest.approx(1.0, abs=1e-6)
    assert correlation(noise(4000, seed=7), pcm) < 0.2
    assert correlation(np.zeros(0, np.int16), pcm) == 0.0


def test_a_file_that_is_not_there_is_said_to_be(tmp_path):
    with pytest.raises(ConfigurationError, match="there is no file"):
        AudioSources(str(tmp_path / "none.wav"))
