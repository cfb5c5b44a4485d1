"""Echo and noise go, speech stays."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from softphone import MediaPreferences
from softphone.errors import ConfigurationError
from softphone.media.processing import NoiseSuppression, VoiceProcessing, VoiceProcessor
from tests.support.echo import FRAME, echo_of, reduction_db
from tests.support.sounds import samples, silence, speech, with_noise

ECHO = VoiceProcessing(echo_cancellation=True)
NOISE = VoiceProcessing(noise_suppression="high")


def processed(wanted, near, far=None, *, rate=8000, frame=FRAME):
    """What is left of the near end, played and recorded frame by frame."""
    processor, out = VoiceProcessor(wanted, rate), []
    for at in range(0, near.size, frame):
        if far is not None:
            processor.note_played(far[at : at + frame])
        out.append(processor.process(near[at : at + frame]))
    return np.concatenate(out)


@pytest.mark.parametrize("rate", [8000, 48_000])
def test_echo_is_removed(rate):
    far = samples(speech(2.5))
    far = np.repeat(far, rate // 8000)
    near = echo_of(far, rate=rate)
    left = processed(ECHO, near, far, rate=rate, frame=rate // 50)
    assert left.size == near.size
    assert reduction_db(near, left, rate=rate) > 15.0


def test_speech_without_echo_stays():
    near = samples(speech(2.0))
    assert reduction_db(near, processed(ECHO, near, np.zeros_like(near))) == pytest.approx(0, abs=1)
    assert reduction_db(near, processed(NOISE, near)) == pytest.approx(0.0, abs=3.0)


@pytest.mark.parametrize(("level", "least"), [("low", 4.0), ("very_high", 12.0)])
def test_steady_noise_is_reduced(level, least):
    noise = samples(with_noise(silence(4.0), 0, level=-40.0))
    assert reduction_db(noise, processed(VoiceProcessing(False, level), noise)) > least


def test_what_is_no_whole_frame_waits_for_the_rest():
    sound = samples(speech(1.0))
    whole = processed(NOISE, sound)
    assert np.array_equal(processed(NOISE, sound, frame=37), whole)
    processor = VoiceProcessor(NOISE, 8000)
    assert processor.process(sound[:50]).size == 0
    assert processor.held_samples == 50


def test_played_sound_that_waits_too_long_is_dropped_and_silence_stands_for_what_is_missing():
    processor = VoiceProcessor(ECHO, 8000)
    played = np.arange(1, 2001, dtype=np.int16)
    processor.note_played(played)
    # 40 ms may wait beside what is taken.
    assert processor._take_played(80)[0] == 2001 - 80 - 320
    assert processor._take_played(320)[-1] == 2000
    assert processor._take_played(80).tolist() == [0] * 80
    processor.note_played(played[:30])
    assert processor._take_played(80).tolist() == [0] * 50 + played[:30].tolist()


def test_without_echo_cancellation_nothing_played_is_kept():
    processor = VoiceProcessor(NOISE, 8000)
    processor.note_played(np.ones(160, dtype=np.int16))
    assert processor._played.size == 0


def test_a_rate_that_is_too_low_is_refused():
    with pytest.raises(ConfigurationError, match="need 8000 Hz or more, and not 4000"):
        VoiceProcessor(NOISE, 4000)


class TestSettings:
    def test_nothing_is_done_by_default(self):
        assert not VoiceProcessing().active
        assert MediaPreferences().voice_processing is None

    def test_a_level_that_is_none_is_refused(self):
        with pytest.raises(ConfigurationError, match=r"low, moderate, high.* and not 'some'"):
            VoiceProcessing(noise_suppression="some")

    def test_an_account_says_what_its_calls_do(self):
        media = MediaPreferences(echo_cancellation=True, noise_suppression="low")
        assert media.voice_processing == VoiceProcessing(True, NoiseSuppression.LOW)

    @pytest.mark.parametrize(
        "wanted", [{"echo_cancellation": True}, {"noise_suppression": "moderate"}]
    )
    def test_what_is_missing_is_said_at_configuration(self, monkeypatch, wanted):
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        for kind in (MediaPreferences, VoiceProcessing):
            with pytest.raises(ConfigurationError, match=r"need pywebrtc.*\[voice-processing\]"):
                kind(**wanted)
