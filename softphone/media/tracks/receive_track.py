"""Received media as aiortc `MediaStreamTrack`s, for `RTCPeerConnection` or `MediaRecorder`.

The module is imported when a track is requested, since aiortc is an extra.  Both tracks of a call
count time from one origin; pictures wait for their sound (`softphone.media.video.lip_sync`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from fractions import Fraction
from typing import Protocol

import av
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from softphone.media.audio import AudioRouter, PcmInput
from softphone.media.video import CLOCK_RATE_HZ, ReceivedVideoFrame, VideoSink

RATE = 48_000
SAMPLES = 960
MOST_WAITING = 30
"""The most pictures that wait for `recv`; beyond it the oldest is dropped."""


class VideoFrameStream(Protocol):
    """The parts of a video stream that a track uses."""

    sound: AudioRouter | None

    def add_listener(self, sink: VideoSink) -> None:
        """Deliver received frames to one more sink."""

    def remove_listener(self, sink: VideoSink) -> None:
        """Stop delivering received frames to `sink`."""

    def call_at_end(self, work: Callable[[], None]) -> None:
        """Call `work` when the stream ends."""

    def cancel_at_end(self, work: Callable[[], None]) -> None:
        """Take back `call_at_end` for `work`."""


class CallAudioTrack(MediaStreamTrack):
    """The far end's audio: frames of 20 ms, 48 kHz, mono, s16.

    The track ends with the call.  Raises LocalProtocolError once the call is over.
    """

    kind = "audio"

    def __init__(self, sound: AudioRouter) -> None:
        super().__init__()
        self._sound = sound
        self._heard = PcmInput(RATE, seconds=1.0)
        self._shift: int | None = None
        sound.add_listener(self._heard)
        sound.call_at_end(self._heard.close)

    async def recv(self) -> av.AudioFrame:
        """Wait for the next frame.  Raises MediaStreamError at the end."""
        heard = None
        if self.readyState == "live":
            heard = await self._heard.read(SAMPLES)
        if heard is None or not len(heard):
            self.stop()
            raise MediaStreamError
        if self._shift is None:
            now = asyncio.get_running_loop().time()
            self._shift = round(self._sound.track_time(now) * RATE) - heard.timestamp
        frame = av.AudioFrame.from_ndarray(heard.pcm.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts = RATE, heard.timestamp + self._shift
        frame.time_base = Fraction(1, RATE)
        return frame

    def stop(self) -> None:
        """End the track and stop listening to the call."""
        if self.readyState == "live":
            self._sound.cancel_at_end(self._heard.close)
            self._sound.remove_listener(self._heard)
            self._heard.close()
        super().stop()


class CallVideoTrack(MediaStreamTrack):
    """The far end's video: one picture a frame, yuv420p.

    `dropped` counts pictures that were not read in time.
    """

    kind = "video"
    wants_pictures = True

    def __init__(self, video: VideoFrameStream) -> None:
        super().__init__()
        self._video = video
        self._clock = asyncio.get_running_loop()
        self._blocks: deque[ReceivedVideoFrame] = deque()
        self._came = asyncio.Event()
        self._shift: float | None = None
        self._last = -1
        self.dropped = 0
        video.add_listener(self)
        video.call_at_end(self.stop)

    def write(self, block: ReceivedVideoFrame) -> None:
        """Hand a picture from the video thread to the track's event loop."""
        self._clock.call_soon_threadsafe(self._queue_frame, block)

    def _queue_frame(self, block: ReceivedVideoFrame) -> None:
        if self._blocks and self._blocks[-1].security_generation != block.security_generation:
            # Pictures of another security generation must not appear under the new one.
            self.dropped += len(self._blocks)
            self._blocks.clear()
        if len(self._blocks) >= MOST_WAITING:
            self._blocks.popleft()
            self.dropped += 1
        self._blocks.append(block)
        self._came.set()

    async def recv(self) -> av.VideoFrame:
        """Wait for the next picture.  Raises MediaStreamError at the end."""
        while not self._blocks and self.readyState == "live":
            self._came.clear()
            await self._came.wait()
        if not self._blocks or self._blocks[0].picture is None:
            self.stop()
            raise MediaStreamError
        block = self._blocks.popleft()
        picture = block.picture
        assert picture is not None
        if self._shift is None:
            sound, now = self._video.sound, self._clock.time()
            self._shift = (0.0 if sound is None else sound.track_time(now)) - block.seconds
        frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
        self._last = max(round((block.seconds + self._shift) * CLOCK_RATE_HZ), self._last + 1)
        frame.pts, frame.time_base = self._last, Fraction(1, CLOCK_RATE_HZ)
        return frame

    def stop(self) -> None:
        """End the track and stop receiving pictures."""
        if self.readyState == "live":
            self._video.cancel_at_end(self.stop)
            self._video.remove_listener(self)
        super().stop()
        self._came.set()
