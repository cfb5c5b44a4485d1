"""Silero's model, by onnxruntime: it knows speech.  Both are among what pipecat's tests install."""

from __future__ import annotations

import importlib.util
import os

import numpy as np
import pytest

from softphone import MediaPreferences
from softphone.errors import ConfigurationError
from softphone.media.detection import DetectorKind, find_speech_model, load_speech_model
from softphone.media.detection.speech_model import CONTEXT, STATE, WINDOW
from tests.support.extra_site import PIPECAT
from tests.support.sounds import found_in, keys, silence, speech, tone, with_noise

PIPECAT.there()
if importlib.util.find_spec("onnxruntime") is None:
    REASON = "needs onnxruntime: python -m tests.support.extra_site, or softphone[voice-activity]"
    if os.environ.get("CI"):
        pytest.fail(REASON, pytrace=False)
    pytest.skip(REASON, allow_module_level=True)


def heard(*parts):
    model = MediaPreferences(voice_activity="neural").load_speech_model()
    found = found_in(*parts, wanted=DetectorKind.VOICE, model=model)
    return [(each.kind, each.at) for each in found]


def test_speech_begins_and_ends_where_it_does():
    start, stop = heard(silence(1.0), speech(2.0), silence(1.0))
    assert start == ("voice", pytest.approx(1.0, abs=0.15))
    assert stop == ("silence", pytest.approx(3.0, abs=0.3))


def test_noise_tones_and_digits_are_nobody():
    assert heard(with_noise(silence(3.0), 0, level=-25.0)) == []
    assert heard(tone(440.0, 480.0, seconds=2.0), keys("159#"), silence(0.5)) == []


def test_streams_do_not_change_one_another():
    model = load_speech_model()
    sound = np.random.default_rng(0).standard_normal((3, CONTEXT + WINDOW)).astype(np.float32)
    state = np.zeros((2, 3, STATE), np.float32)
    together, after = model.estimate(sound, state)
    alone, own = model.estimate(sound[1:2], state[:, 1:2])
    assert together[1] == pytest.approx(alone[0], abs=1e-5)
    assert after[:, 1] == pytest.approx(own[:, 0], abs=1e-4)


def test_it_is_loaded_once():
    assert load_speech_model() is load_speech_model(find_speech_model())


def test_what_is_no_model_is_refused(tmp_path):
    (tmp_path / "no.onnx").write_bytes(b"no model")
    with pytest.raises(ConfigurationError, match=r"no\.onnx is no voice activity model"):
        load_speech_model(tmp_path / "no.onnx")
