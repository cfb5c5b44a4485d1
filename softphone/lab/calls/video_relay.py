"""Relays the video of one leg to another, as coded frames where possible.

Each leg has its own SRTP keys, so a frame is decrypted for one and encrypted for the other.
Frames pass through unchanged when both legs use the same codec, and are transcoded otherwise.
RFC 4585 section 6.3.1: a request for a key frame is forwarded to the sender of the video.
"""

from __future__ import annotations

import asyncio
from collections import deque

from softphone.media import VideoStream
from softphone.media.video import Picture, ReceivedVideoFrame
from softphone.rtp import EncodedFrame

MOST_WAITING = 30
"""Frames that may wait to be sent; beyond it, the stream restarts with a key frame."""
_REQUEST_PAUSE = 0.5
"""Seconds between two requests for a key frame."""


class VideoRelay:
    """A `VideoSink` of the stream `seen` and a `VideoSource` of the stream `shows`."""

    rate = 50.0
    """How often per second the sender polls for a frame."""
    ended = False

    def __init__(self, seen: VideoStream, shows: VideoStream) -> None:
        self._seen, self._shows = seen, shows
        self._waiting: deque[EncodedFrame | Picture] = deque()
        self._loop = asyncio.get_running_loop()
        self._transcodes = seen.codec != shows.codec
        self._needs_key = True
        self._asked = -_REQUEST_PAUSE
        seen.record(self)
        shows.play(self)

    def close(self) -> None:
        """Detach from both streams."""
        self._seen.record(None)
        self._shows.play(None)

    @property
    def wants_pictures(self) -> bool:
        """Whether the legs differ in codec, so that frames must be decoded."""
        return self._transcodes

    def write(self, block: ReceivedVideoFrame) -> None:
        """Queue a frame, in the thread of the leg that received it."""
        transcodes = block.codec != self._shows.codec
        if transcodes and not self._transcodes:
            # Frames were not decoded until now, and decoding needs a key frame to begin.
            self._loop.call_soon_threadsafe(self._seen.request_key_frame)
        self._transcodes = transcodes
        given = block.picture if self._transcodes else block.frame
        self._needs_key |= len(self._waiting) >= MOST_WAITING
        if given is None or (self._needs_key and not (self._transcodes or block.frame.key)):
            return
        if self._needs_key:
            self._waiting.clear()
        self._needs_key = False
        self._waiting.append(given)

    def read(self) -> EncodedFrame | Picture | None:
        """The next frame to send, or None; called in the thread of the other leg."""
        try:
            return self._waiting.popleft()
        except IndexError:
            return None

    def request_key_frame(self) -> None:
        """Ask for a key frame: the other leg's phone has requested one, or the stream begins."""
        now = self._loop.time()
        if now - self._asked >= _REQUEST_PAUSE and not self._transcodes:
            self._asked = now
            self._seen.request_key_frame()
