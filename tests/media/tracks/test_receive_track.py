"""What a call receives as aiortc tracks: frames, times, ends; bridges are in tests/end_to_end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import pytest
from aiortc.mediastreams import MediaStreamError

from softphone.media import PcmBlock
from softphone.media.audio import AudioRouter
from softphone.media.tracks.receive_track import CallAudioTrack, CallVideoTrack
from softphone.media.video import ReceivedVideoFrame
from softphone.media.video.picture import draw_pattern, pattern_number
from softphone.rtp import EncodedFrame


@dataclass
class Stream:
    """What a track needs of a stream."""

    sinks: list[Any] = field(default_factory=list)
    ends: list[Any] = field(default_factory=list)
    sound: Any = None
    began: float | None = None

    def add_listener(self, sink: Any) -> None:
        self.sinks.append(sink)

    def remove_listener(self, sink: Any) -> None:
        self.sinks.remove(sink)

    def call_at_end(self, work: Any) -> None:
        self.ends.append(work)

    def cancel_at_end(self, work: Any) -> None:
        self.ends.remove(work)

    def track_time(self, now: float) -> float:
        self.began = now if self.began is None else self.began
        return now - self.began


def shown(number: int, seconds: float, generation: int = 0) -> ReceivedVideoFrame:
    frame = EncodedFrame(b"", True)
    return ReceivedVideoFrame(draw_pattern(number, 64, 64), frame, "VP8", seconds, None, generation)


async def test_sound_comes_in_frames_of_20_ms_whose_times_go_on_over_gaps() -> None:
    stream = Stream()
    track = CallAudioTrack(cast("AudioRouter", stream))
    for start in (8000, 8160, 8320, 16000, 16160, 16320):
        pcm = np.full(160, 100, dtype=np.int16)
        stream.sinks[0].write(PcmBlock(pcm, 8000, start, 0))
    frames = [await track.recv() for _ in range(4)]
    assert {(f.samples, f.sample_rate, f.format.name, f.layout.name) for f in frames} == {
        (960, 48000, "s16", "mono")
    }
    assert frames[0].pts == 0
    assert frames[1].pts == 960
    assert cast("int", frames[3].pts) - 48_000 == pytest.approx(0, abs=960)
    for end in list(stream.ends):
        end()
    await track.recv()
    await track.recv()  # what was there is still given, the last of it shorter
    with pytest.raises(MediaStreamError):
        await track.recv()
    assert track.readyState == "ended"
    assert stream.sinks == []


async def test_pictures_come_with_their_times_and_a_lower_level_drops_those_of_a_higher() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time() - 2.0
    sound = Stream(began=began)
    stream = Stream(sound=sound)
    track = CallVideoTrack(stream)
    waiting = asyncio.ensure_future(track.recv())
    earliest = loop.time() - began
    await asyncio.to_thread(track.write, shown(7, 10.0))
    first = await waiting
    latest = loop.time() - began
    assert pattern_number(first.to_ndarray(format="yuv420p")) == 7
    assert earliest - 0.001 <= float(first.time or 0) <= latest + 0.001
    track.write(shown(8, 10.5, generation=1))
    track.write(shown(9, 11.0, generation=2))
    await asyncio.sleep(0)
    second = await track.recv()
    assert pattern_number(second.to_ndarray(format="yuv420p")) == 9
    assert float(second.time or 0) - float(first.time or 0) == pytest.approx(1.0)
    assert track.dropped == 1


async def test_who_does_not_take_pictures_loses_the_oldest_and_an_end_wakes_who_waits() -> None:
    stream = Stream()
    track = CallVideoTrack(stream)
    for number in range(40):
        track.write(shown(number, number / 10))
    await asyncio.sleep(0)
    assert track.dropped == 10
    assert pattern_number((await track.recv()).to_ndarray(format="yuv420p")) == 10
    for _ in range(29):
        await track.recv()
    waiting = asyncio.ensure_future(track.recv())
    await asyncio.sleep(0)
    for end in list(stream.ends):
        end()
    with pytest.raises(MediaStreamError):
        await waiting
    assert stream.sinks == []
