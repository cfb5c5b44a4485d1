"""The picture of one leg, shown to another: coded frames as they come, decoded only if they must.

Each leg has SRTP keys of its own, so a frame is decrypted for one and encrypted for the other.
Where both have agreed on one codec its frames are passed through; else pictures are coded anew.
RFC 4585 section 6.3.1: a request for a key frame goes on to whom the picture comes from.
"""

from __future__ import annotations

import asyncio
from collections import deque

from softphone.media import VideoStream
from softphone.media.video import Picture, ReceivedVideoFrame
from softphone.rtp import EncodedFrame

MOST_WAITING = 30
"""Frames that wait to be sent; then the stream begins anew with a key frame."""
_REQUEST_PAUSE = 0.5
"""Seconds between two requests for a key frame."""


class VideoRelay:
    """A `VideoSink` of the stream that is `seen`, and a `VideoSource` of that which `shows` it."""

    rate = 50.0
    """How often a second it is looked whether a frame has come."""
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
        """Show no more."""
        self._seen.record(None)
        self._shows.play(None)

    @property
    def wants_pictures(self) -> bool:
        """Whether the other leg has another codec."""
        return self._transcodes

    def write(self, block: ReceivedVideoFrame) -> None:
        """Take a frame, in the thread of the leg that it came over."""
        transcodes = block.codec != self._shows.codec
        if transcodes and not self._transcodes:
            # What has come until now was not decoded: that begins with a key frame.
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
        """What is to be sent next, in the thread of the other leg."""
        try:
            return self._waiting.popleft()
        except IndexError:
            return None

    def request_key_frame(self) -> None:
        """The other leg's phone needs a key frame, or has seen nothing yet."""
        now = self._loop.time()
        if now - self._asked >= _REQUEST_PAUSE and not self._transcodes:
            self._asked = now
            self._seen.request_key_frame()
