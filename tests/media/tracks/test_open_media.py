"""What an application gives: sources, sinks, tracks, and files by their paths."""

from __future__ import annotations

import wave
from pathlib import Path

import av
import numpy as np
import pytest

from softphone.errors import ConfigurationError
from softphone.media import PcmBlock
from softphone.media.audio import Detachable, ToneSource
from softphone.media.audio.sources import PcmRing
from softphone.media.tracks import is_path, open_sink, open_source, open_video_source
from softphone.media.tracks.open_media import (
    AutoClosingVideoSource,
    AutoClosingWavSink,
    AutoClosingWavSource,
)
from softphone.media.video.picture import draw_pattern


class Place:
    """A path of somebody else's making."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __fspath__(self) -> str:
        return str(self._path)


FORMS = pytest.mark.parametrize("form", [str, Path, Place])


def tone(path: Path) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(np.full(1600, 1000, dtype="<i2").tobytes())
    return path


def film(path: Path) -> Path:
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for n in range(3):
            frame = av.VideoFrame.from_ndarray(draw_pattern(n, 64, 48), format="yuv420p")
            frame.pts = n
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


@FORMS
def test_a_file_is_sound_at_the_rate_that_is_asked_for(tmp_path: Path, form: type) -> None:
    source = open_source(form(tone(tmp_path / "a.wav")), 8000)
    assert isinstance(source, AutoClosingWavSource)
    assert source.clock_rate_hz == 8000
    assert source.read(80).size == 80
    assert isinstance(source, Detachable)
    source.detach()
    assert source.ended or source.read(8000).size < 800


@FORMS
def test_a_file_is_pictures(tmp_path: Path, form: type) -> None:
    source = open_video_source(form(film(tmp_path / "a.mp4")))
    assert isinstance(source, AutoClosingVideoSource)
    assert source.read() is not None
    source.detach()


@FORMS
def test_a_new_file_is_a_sink_that_is_finished_when_it_is_let_go(
    tmp_path: Path, form: type
) -> None:
    failed: list[str] = []
    sink = open_sink(form(tmp_path / "a.wav"), failed.append)
    assert isinstance(sink, AutoClosingWavSink)
    sink.write(PcmBlock(np.ones(160, dtype=np.int16), 8000, 0, 0))
    assert not (tmp_path / "a.wav").exists()
    sink.detach()
    sink.detach()
    with wave.open(str(tmp_path / "a.wav"), "rb") as file:
        assert file.getnframes() == 160
    assert (tmp_path / "a.wav").stat().st_mode & 0o777 == 0o600
    assert failed == []


def test_why_a_file_could_not_be_finished_is_told(tmp_path: Path) -> None:
    failed: list[str] = []
    sink = open_sink(tmp_path / "a.wav", failed.append)
    assert isinstance(sink, AutoClosingWavSink)
    (tmp_path / "a.wav").write_bytes(b"another's")
    sink.detach()
    assert len(failed) == 1
    assert "a.wav" in failed[0]
    assert (tmp_path / "a.wav").read_bytes() == b"another's"


def test_what_is_no_path_stays_what_it_is() -> None:
    source, sink = ToneSource(440.0), PcmRing()
    assert open_source(source, 8000) is source
    assert open_source(None, 8000) is None
    assert open_video_source(None) is None
    assert open_sink(sink, str) is sink
    assert open_sink(None, str) is None
    assert not any(map(is_path, (source, sink, None, b"a.wav", 3)))


def test_a_file_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    missing = str(tmp_path / "no.wav")
    for make in (lambda: open_source(missing, 8000), lambda: open_video_source(missing)):
        with pytest.raises(ConfigurationError, match=r"no\.wav"):
            make()
    with pytest.raises(ConfigurationError, match="no"):
        open_sink(str(tmp_path / "no" / "a.wav"), str)
