"""Files that recordings go to."""

from __future__ import annotations

import stat
import wave

import av
import numpy as np
import pytest

from softphone.errors import ConfigurationError, MediaError
from softphone.media.audio import Cadence, ToneGenerator, tone_level
from softphone.media.recording.recording_file import RecordingFile


def stereo(rate, seconds=1.0):
    count = round(rate * seconds)
    sides = [ToneGenerator(Cadence((f,), (), -10.0), rate).generate(count) for f in (440.0, 1000.0)]
    return np.stack(sides, axis=1)


def test_wav_holds_both_sides_and_is_its_owners_alone(tmp_path):
    path = tmp_path / "call.wav"
    file = RecordingFile(path)
    assert file.rate == 0
    file.write(stereo(8000), 8000)
    assert not path.exists()
    file.close()
    file.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["call.wav"]
    with wave.open(str(path)) as read:
        assert (read.getnchannels(), read.getframerate(), read.getnframes()) == (2, 8000, 8000)
        frames = np.frombuffer(read.readframes(8000), dtype="<i2").reshape(-1, 2)
    assert np.array_equal(frames, stereo(8000))


@pytest.mark.parametrize("suffix", [".ogg", ".opus", ".mka", ".mkv", ".webm", ".mp4", ".flac"])
def test_pyav_writes_the_other_kinds(tmp_path, suffix):
    path = tmp_path / f"call{suffix}"
    file = RecordingFile(path)
    rate = file.rate or 8000
    frames = stereo(rate)
    for start in range(0, len(frames), rate // 5):
        file.write(frames[start : start + rate // 5], rate)
    file.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with av.open(str(path)) as read:
        stream = read.streams.audio[0]
        parts = []
        resampler = av.AudioResampler("s16", "stereo", rate)
        for frame in read.decode(stream):
            parts += [each.to_ndarray() for each in resampler.resample(frame)]
    heard = np.concatenate(parts, axis=1).reshape(-1, 2)[rate // 4 : rate * 3 // 4]
    left, right = np.ascontiguousarray(heard.T)
    assert tone_level(left, 440.0, rate) == pytest.approx(-10.0, abs=1.5)
    assert tone_level(right, 1000.0, rate) == pytest.approx(-10.0, abs=1.5)
    assert tone_level(left, 1000.0, rate) < -40.0


def test_what_cannot_be_is_said_before_anything_is_made(tmp_path):
    with pytest.raises(ConfigurationError, match=r"ends in one of .*\.wav"):
        RecordingFile(tmp_path / "call.doc")
    (tmp_path / "call.wav").write_bytes(b"old")
    with pytest.raises(ConfigurationError, match="not overwritten"):
        RecordingFile(tmp_path / "call.wav")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        RecordingFile(tmp_path / "nowhere" / "call.wav")


def test_one_that_is_given_up_leaves_nothing_and_an_empty_one_is_a_file(tmp_path):
    given_up = RecordingFile(tmp_path / "a.wav")
    given_up.write(stereo(8000), 8000)
    given_up.discard()
    assert list(tmp_path.iterdir()) == []
    empty = RecordingFile(tmp_path / "b.wav")
    empty.close()
    with wave.open(str(tmp_path / "b.wav")) as read:
        assert read.getnframes() == 0


def test_a_name_that_is_taken_meanwhile_is_not_overwritten(tmp_path):
    file = RecordingFile(tmp_path / "a.wav")
    (tmp_path / "a.wav").write_bytes(b"new")
    with pytest.raises(MediaError, match=r"a\.wav\.part"):
        file.close()
    assert (tmp_path / "a.wav").read_bytes() == b"new"
