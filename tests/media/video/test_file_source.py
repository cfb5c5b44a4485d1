"""Files that are sent: pictures when they are due, their sound, and what is no such file."""

from __future__ import annotations

import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from softphone.errors import ConfigurationError
from softphone.media.audio import tone_level
from softphone.media.video import FileAudioSource, VideoFileSource, to_picture
from softphone.media.video.picture import draw_pattern, pattern_number, psnr


def film(
    path: Path, *, size: tuple[int, int] = (320, 240), rate: int = 15, count: int = 30
) -> Path:
    """A pattern, and 660 Hz."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=rate)
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        sound = container.add_stream("aac", rate=48000, layout="mono")
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(draw_pattern(number, *size), format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(video.encode(frame))
        at = np.arange(48000 * count // rate) / 48000
        tone = (8000 * np.sin(2 * np.pi * 660.0 * at)).astype(np.int16)
        heard = av.AudioFrame.from_ndarray(tone.reshape(1, -1), format="s16", layout="mono")
        heard.sample_rate, heard.pts = 48000, 0
        container.mux(sound.encode(heard))
        container.mux(video.encode(None))
        container.mux(sound.encode(None))
    return path


def pictures_of(source: VideoFileSource) -> list[np.ndarray]:
    found = []
    while not source.ended:
        picture = source.read()
        if picture is not None:
            found.append(picture)
    return found


def test_every_picture_of_a_file_is_read_once_in_order(tmp_path: Path) -> None:
    source = VideoFileSource(film(tmp_path / "in.mp4"))
    assert source.rate == 15.0
    pictures = pictures_of(source)
    assert [pattern_number(picture) for picture in pictures] == list(range(30))
    assert all(psnr(p, draw_pattern(pattern_number(p), 320, 240)) > 25.0 for p in pictures)
    assert source.read() is None
    source.close()


def test_a_fast_and_large_film_is_thinned_out_and_scaled_to_what_we_offer(tmp_path: Path) -> None:
    source = VideoFileSource(film(tmp_path / "in.mkv", size=(1920, 1080), rate=60, count=20))
    assert source.rate == 30.0
    pictures = pictures_of(source)
    assert len(pictures) == 11  # every other one, and the last
    source.close()
    rows, width = pictures[0].shape
    assert width * rows * 2 // 3 <= 1280 * 720
    assert width / (rows * 2 // 3) == pytest.approx(16 / 9, rel=0.02)


def test_the_sound_of_a_film_is_heard_at_the_rate_that_is_asked_for(tmp_path: Path) -> None:
    source = VideoFileSource(film(tmp_path / "in.mp4"))
    sound = source.sound()
    assert sound is not None
    assert sound.clock_rate_hz == 16000
    pcm = np.concatenate([sound.read(320) for _ in range(100)])
    assert tone_level(pcm[8000:24000], 660.0, 16000) > -20.0
    while not sound.ended:
        sound.read(320)
    assert sound.read(320).size == 0
    sound.close()
    source.close()


def test_what_is_no_film_is_refused_in_one_sentence(tmp_path: Path) -> None:
    missing, text, voice = tmp_path / "none.mp4", tmp_path / "text.mp4", tmp_path / "voice.wav"
    text.write_text("no film\n" * 100)
    with wave.open(str(voice), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(16000))
    for path, words in ((missing, "cannot be read"), (text, "is no video"), (voice, "no picture")):
        with pytest.raises(ConfigurationError, match=words) as caught:
            VideoFileSource(path)
        assert str(path) in str(caught.value)
    sound = FileAudioSource(voice)
    assert sound.read(160).size == 160
    sound.close()


def test_a_film_that_is_cut_short_gives_what_it_has(tmp_path: Path) -> None:
    whole = film(tmp_path / "in.mkv")
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    source = VideoFileSource(cut)
    assert 0 < len(pictures_of(source)) < 30
    source.close()


def test_a_playlist_opens_nothing(tmp_path: Path) -> None:
    target = film(tmp_path / "in.ts")
    playlist = tmp_path / "list.m3u8"
    playlist.write_text(
        f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile://{target}\n#EXT-X-ENDLIST\n"
    )
    with pytest.raises(ConfigurationError):
        VideoFileSource(playlist)


def test_a_picture_gets_a_size_that_can_be_coded() -> None:
    frame = av.VideoFrame.from_ndarray(np.full((101, 99, 3), 200, dtype=np.uint8), format="rgb24")
    assert to_picture(frame).shape == (150, 96)
