"""Recordings of pictures and sound: in sync, whole, private, or not there at all."""

from __future__ import annotations

import errno
import stat
from pathlib import Path

import av
import numpy as np
import pytest

from softphone.errors import ConfigurationError, MediaError
from softphone.media import (
    PcmBlock,
)
from softphone.media.recording import VideoRecording
from softphone.media.video import ReceivedVideoFrame
from softphone.media.video.picture import draw_pattern, pattern_number, psnr
from softphone.rtp import EncodedFrame

FAR = 1_700_000_000.0
FRAME = EncodedFrame(b"", True)


class Wall:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def feed(film: VideoRecording, wall: Wall, *, late: float, seconds: float = 4.0) -> None:
    """A flash and a click at 2 s of the far end's clock, its pictures `late` on the way."""
    pieces: list[tuple[float, ReceivedVideoFrame | PcmBlock]] = []
    for n in range(int(seconds * 50)):
        at = n * 0.02
        loud = 8000 if at >= 2.0 else 0
        pcm = np.where(np.arange(160) % 2, loud, -loud).astype(np.int16)
        pieces.append(
            (at + 0.06, PcmBlock(pcm, 8000, 4000 + n * 160, 0, False, FAR + at, at > 0.9))
        )
    for n in range(int(seconds * 10)):
        at = n * 0.1
        picture = np.full((96, 64), 128, dtype=np.uint8)
        picture[:64] = 235 if at >= 2.0 else 16
        told = FAR + at if at > 1.2 else None
        pieces.append((at + late, ReceivedVideoFrame(picture, FRAME, "VP8", at, told, 0)))
    for when, piece in sorted(pieces, key=lambda each: each[0]):
        wall.now = 1000.0 + when
        if isinstance(piece, PcmBlock):
            film.audio_sink.write(piece)
        else:
            film.write(piece)


@pytest.mark.parametrize("name", ["film.mp4", "film.mkv", "film.webm"])
def test_a_flash_and_its_click_are_at_one_time_however_late_pictures_come(
    tmp_path: Path, name: str
) -> None:
    wall, path = Wall(), tmp_path / name
    film = VideoRecording(path, wall=wall)
    assert not path.exists()
    feed(film, wall, late=0.45)
    film.close()
    assert film.by_clock
    assert film.lost == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == [name]
    with av.open(str(path)) as container:
        flash = next(
            float(frame.time or 0)
            for frame in container.decode(video=0)
            if frame.to_ndarray(format="gray").mean() > 128
        )
    with av.open(str(path)) as container:
        click = next(
            float(frame.time or 0) + float(np.argmax(np.abs(pcm) > 0.05)) / frame.sample_rate
            for frame in container.decode(audio=0)
            if (np.abs(pcm := frame.to_ndarray()[0])).max() > 0.05
        )
    assert flash == pytest.approx(2.0, abs=0.03)
    assert abs(flash - click) < 0.03


def test_pictures_are_what_they_were_and_another_size_is_fitted_in(tmp_path: Path) -> None:
    film = VideoRecording(tmp_path / "film.mp4", wall=Wall())
    for number in range(20):
        size = (320, 240) if number < 15 else (160, 120)
        film.write(
            ReceivedVideoFrame(draw_pattern(number, *size), FRAME, "H264", number / 10, None, 0)
        )
    film.close()
    film.close()
    with av.open(str(tmp_path / "film.mp4")) as container:
        pictures = [frame.to_ndarray(format="yuv420p") for frame in container.decode(video=0)]
    assert len(pictures) == film.pictures == 20
    assert {picture.shape for picture in pictures} == {(360, 320)}
    assert [pattern_number(picture) for picture in pictures] == list(range(20))
    assert min(psnr(p, draw_pattern(n, 320, 240)) for n, p in enumerate(pictures[:15])) > 30.0


def test_sound_whose_timestamps_jump_by_days_fills_no_file_with_silence(tmp_path: Path) -> None:
    wall, path = Wall(), tmp_path / "film.mkv"
    film = VideoRecording(path, wall=wall)
    feed(film, wall, late=0.1, seconds=8.0)
    block = PcmBlock(np.ones(160, dtype=np.int16), 8000, 2**31, 0, False, FAR + 268_000.0, True)
    film.audio_sink.write(block)
    film.close()
    assert film.problem == ""
    with av.open(str(path)) as container:
        assert float(container.duration or 0) / 1e6 < 10.0


def test_without_a_picture_and_when_given_up_no_file_is_left(tmp_path: Path) -> None:
    empty, given_up = VideoRecording(tmp_path / "a.mp4"), VideoRecording(tmp_path / "b.mkv")
    empty.audio_sink.write(PcmBlock(np.zeros(160, dtype=np.int16), 8000, 0, 0))
    given_up.write(ReceivedVideoFrame(draw_pattern(1, 64, 64), FRAME, "VP8", 0.0, None, 0))
    empty.close()
    given_up.discard()
    given_up.write(ReceivedVideoFrame(draw_pattern(1, 64, 64), FRAME, "VP8", 0.0, None, 0))
    given_up.close()
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_taken_or_unknown_is_refused(tmp_path: Path) -> None:
    taken = tmp_path / "film.mp4"
    taken.write_bytes(b"mine")
    for path, words in (
        (taken, "exists already"),
        (tmp_path / "film.avi", "ends in one of .mkv .mov .mp4 .webm"),
        (tmp_path / "none" / "film.mp4", "cannot be written"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            VideoRecording(path)
    assert taken.read_bytes() == b"mine"


def test_what_is_forbidden_or_cannot_be_written_is_told_once_and_stays_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    film = VideoRecording(tmp_path / "a.mp4", wall=Wall())
    film.failed, film.forbidden = told.append, lambda: "no recording of this call"
    for number in range(3):
        film.write(
            ReceivedVideoFrame(draw_pattern(number, 64, 64), FRAME, "VP8", number / 10, None, 0)
        )
    assert told == ["no recording of this call"]
    with pytest.raises(MediaError, match="cut short: no recording"):
        film.close()
    full = VideoRecording(tmp_path / "b.mp4", wall=Wall())
    full.failed = told.append

    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(full, "_place_or_hold", no_room)
    for number in range(3):
        full.write(
            ReceivedVideoFrame(draw_pattern(number, 64, 64), FRAME, "VP8", number / 10, None, 0)
        )
    with pytest.raises(MediaError, match="No space left"):
        full.close()
    assert told[1:] == ["No space left on device"]
    assert (tmp_path / "b.mp4.part").exists()
    assert not (tmp_path / "b.mp4").exists()
