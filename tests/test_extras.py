"""The command that installs an extra: from a wheel, from a checkout, and by which pip."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shutil
import sys
from email.message import Message
from pathlib import Path

import pytest

from softphone import MediaPreferences, extras
from softphone.errors import ConfigurationError
from softphone.media.recording.recording_file import RecordingFile
from softphone.media.recording.video_recording import VideoRecording
from softphone.media.video import FileAudioSource, VideoFileSource
from softphone_codecs import libopus

PROJECT = Path(__file__).resolve().parent.parent
OWN_PIP = str(Path(sys.executable).parent / "pip")


def use_metadata(monkeypatch, *provided: str) -> None:
    """softphone is installed and has these extras; with none it is not installed."""
    found = Message()
    for extra in provided:
        found["Provides-Extra"] = extra

    def metadata(name: str) -> Message:
        if not provided:
            raise importlib.metadata.PackageNotFoundError(name)
        return found

    monkeypatch.setattr(importlib.metadata, "metadata", metadata)


def use_tools(monkeypatch, **paths: str | None) -> None:
    monkeypatch.setattr(shutil, "which", paths.get)


@pytest.fixture
def _without_pyav(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    libopus.load_libopus.cache_clear()
    yield
    libopus.load_libopus.cache_clear()


def test_an_installed_softphone_is_named_by_its_name(monkeypatch):
    use_metadata(monkeypatch, "im", "video")
    use_tools(monkeypatch, pip=OWN_PIP)
    assert extras.install_command("video") == "pip install 'softphone[video]'"


@pytest.mark.parametrize("provided", [(), ("im",)], ids=["not installed", "installed before"])
def test_a_checkout_is_named_by_its_path(monkeypatch, provided):
    use_metadata(monkeypatch, *provided)
    use_tools(monkeypatch, pip=OWN_PIP)
    assert extras.install_command("video") == f"pip install -e '{PROJECT}[video]'"


def test_a_wheel_needs_no_checkout(monkeypatch, tmp_path):
    use_metadata(monkeypatch, "im")
    use_tools(monkeypatch, pip=OWN_PIP)
    monkeypatch.setattr(extras, "_SOURCE", tmp_path)
    assert extras.install_command("video") == "pip install 'softphone[video]'"


def test_another_interpreters_pip_is_not_used(monkeypatch):
    use_metadata(monkeypatch, "im")
    use_tools(monkeypatch, pip="/elsewhere/pip")
    assert extras.install_command("im") == f"{sys.executable} -m pip install 'softphone[im]'"


def test_an_environment_without_pip_is_served_by_uv(monkeypatch):
    use_metadata(monkeypatch, "im")
    use_tools(monkeypatch, uv="/usr/bin/uv")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    wanted = f"uv pip install --python {sys.executable} 'softphone[im]'"
    assert extras.install_command("im") == wanted


@pytest.mark.usefixtures("_without_pyav")
class TestWithoutPyav:
    """What needs PyAV is refused where it is asked for, and nothing is begun."""

    def test_g722_is_refused_at_configuration(self):
        with pytest.raises(ConfigurationError, match=r"G.722 needs PyAV: .*\[video\]', or leave"):
            MediaPreferences(codecs=("PCMU", "G722"))

    def test_opus_is_refused_where_the_system_has_no_libopus_either(self, monkeypatch):
        monkeypatch.setattr("ctypes.util.find_library", lambda name: None)
        with pytest.raises(ConfigurationError, match=r"Opus needs libopus.*\[video\]"):
            MediaPreferences(codecs=("OPUS",))

    def test_video_is_refused_at_configuration(self):
        with pytest.raises(ConfigurationError, match=r"media.video: .*\[video\]"):
            MediaPreferences(video=("VP8",))

    def test_g711_and_l16_are_not(self):
        assert MediaPreferences(codecs=("PCMU", "PCMA", "L16")).codecs == ("PCMU", "PCMA", "L16")

    @pytest.mark.parametrize("name", ["call.m4a", "call.ogg"])
    def test_a_compressed_recording_is_refused_and_leaves_no_file(self, tmp_path, name):
        with pytest.raises(ConfigurationError, match=r"recording needs PyAV: .*\[video\]"):
            RecordingFile(tmp_path / name)
        assert list(tmp_path.iterdir()) == []

    def test_a_video_recording_is_refused_and_leaves_no_file(self, tmp_path):
        with pytest.raises(ConfigurationError, match=r"recording needs PyAV: .*\[video\]"):
            VideoRecording(tmp_path / "call.mp4")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("source", [VideoFileSource, FileAudioSource])
    def test_a_video_file_is_refused(self, tmp_path, source):
        with pytest.raises(ConfigurationError, match=r"a video file needs PyAV: .*\[video\]"):
            source(tmp_path / "film.mp4")

    def test_a_wav_recording_is_made(self, tmp_path):
        recording = RecordingFile(tmp_path / "call.wav")
        recording.close()
        assert (tmp_path / "call.wav").exists()
