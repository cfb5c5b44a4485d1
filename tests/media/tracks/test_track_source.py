"""Tracks as sources: their pace, their formats, their ends."""

from __future__ import annotations

import asyncio
from typing import Any

import av
import numpy as np
import pytest

from softphone.errors import ConfigurationError
from softphone.media.audio import ToneSource, tone_level
from softphone.media.tracks.track_source import TrackAudioSource, TrackVideoSource, is_track
from softphone.media.video.picture import draw_pattern, pattern_number


class Given:
    """A track that gives what is put into it; it ends with None."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.frames: asyncio.Queue[Any] = asyncio.Queue()

    async def recv(self) -> Any:
        frame = await self.frames.get()
        self.frames.task_done()
        if frame is None:
            raise RuntimeError("gone")
        return frame


def stereo(start: int) -> av.AudioFrame:
    """20 ms of 500 Hz, 44.1 kHz, two channels, float."""
    at = (np.arange(882) + start) / 44100
    wave = (0.25 * np.sin(2 * np.pi * 500.0 * at)).astype(np.float32)
    frame = av.AudioFrame.from_ndarray(np.stack((wave, wave)), format="fltp", layout="stereo")
    frame.sample_rate, frame.pts = 44100, start
    return frame


async def test_sound_of_any_format_is_48_khz_mono_once_enough_is_there() -> None:
    track = Given("audio")
    sound = TrackAudioSource(track)
    track.frames.put_nowait(stereo(0))
    await track.frames.join()
    await asyncio.sleep(0)
    assert sound.read(960).size == 0  # 20 ms are not enough to begin with
    for n in range(1, 15):
        track.frames.put_nowait(stereo(882 * n))
    await track.frames.join()
    await asyncio.sleep(0)
    pcm = np.concatenate([sound.read(960) for _ in range(12)])
    assert pcm.size == 12 * 960
    assert tone_level(pcm[960:], 500.0, 48000) > -20.0
    assert not sound.ended
    track.frames.put_nowait(None)
    await track.frames.join()
    await asyncio.sleep(0)
    while sound.read(960).size:
        pass
    assert sound.ended


async def test_what_comes_too_fast_is_dropped_and_counted_and_the_newest_kept() -> None:
    track = Given("audio")
    sound = TrackAudioSource(track)
    for n in range(100):
        track.frames.put_nowait(stereo(882 * n))
    await track.frames.join()
    await asyncio.sleep(0)
    assert sound.dropped_samples == pytest.approx(48000 * 1.6, rel=0.03)
    sound.detach()
    film = Given("video")
    pictures = TrackVideoSource(film)
    for number in range(5):
        picture = draw_pattern(number, 64, 64)
        film.frames.put_nowait(av.VideoFrame.from_ndarray(picture, format="yuv420p"))
    await film.frames.join()
    await asyncio.sleep(0)
    newest = pictures.read()
    assert isinstance(newest, np.ndarray)
    assert pattern_number(newest) == 4
    assert pictures.read() is None
    assert pictures.dropped == 4
    assert not pictures.ended
    film.frames.put_nowait(None)
    await film.frames.join()
    await asyncio.sleep(0)
    assert pictures.ended


async def test_a_track_of_the_other_kind_is_refused_and_a_source_is_no_track() -> None:
    with pytest.raises(ConfigurationError, match="audio cannot be sent as video"):
        TrackVideoSource(Given("audio"))
    with pytest.raises(ConfigurationError, match="video cannot be sent as audio"):
        TrackAudioSource(Given("video"))
    assert is_track(Given("audio"))
    assert not is_track(ToneSource(440.0))
    assert not is_track(None)
