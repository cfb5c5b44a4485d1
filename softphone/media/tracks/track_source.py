"""Any aiortc `MediaStreamTrack` as an audio or video source of a call.

A track sets its own pace.  Frames that come faster than they can be sent are dropped, oldest
first, and counted.  This module does not need aiortc: a track is any object with `kind` and
`recv()` that gives PyAV's frames.
"""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from typing import Any, Protocol, TypeGuard, runtime_checkable

import numpy as np

from softphone.errors import ConfigurationError
from softphone.media.audio import Detachable, PcmRing
from softphone.media.interface import Pcm
from softphone.media.video import Picture, to_picture
from softphone.rtp import EncodedFrame

logger = logging.getLogger("softphone.media")

RATE = 48_000
SECONDS, AHEAD = 0.4, 0.06
"""Seconds of audio kept at most, and buffered before sending, since tracks deliver unevenly."""
FRAMES_A_SECOND = 30.0


@runtime_checkable
class MediaTrack(Protocol):
    """The parts of a track that a source uses."""

    kind: str

    async def recv(self) -> Any:
        """Wait for the next frame; raises at the end."""


def is_track(source: object) -> TypeGuard[MediaTrack]:
    """Whether `source` is a track: it has `kind` and `recv`, but not the `read` of a source."""
    # In this order, because asking for a protocol's members takes longest.
    return not hasattr(source, "read") and isinstance(source, MediaTrack)


class _TrackReader(Detachable):
    """Reads frames of a track in a task until the track ends.

    Raises ConfigurationError for a track of another kind.
    """

    def __init__(self, track: MediaTrack, kind: str) -> None:
        if track.kind != kind:
            raise ConfigurationError(f"a track of {track.kind} cannot be sent as {kind}")
        self._track = track
        self._task = asyncio.get_running_loop().create_task(self._pull())
        self.over = False

    async def _pull(self) -> None:
        try:
            while True:
                self.take_frame(await self._track.recv())
        except asyncio.CancelledError:
            raise
        except Exception as error:
            # A track ends by MediaStreamError; any other error ends it, too, with a warning.
            if type(error).__name__ != "MediaStreamError":
                logger.warning("a track that is sent has failed: %r", error)
        finally:
            self.over = True
            self.finish()

    @abstractmethod
    def take_frame(self, frame: Any) -> None:
        """Process one frame of the track."""

    @abstractmethod
    def finish(self) -> None:
        """Handle the end of the track: no frame follows."""

    def detach(self) -> None:
        """Stop reading the track."""
        self._task.cancel()


class TrackAudioSource(_TrackReader):
    """The audio of a track, as a `Source` at 48 kHz.

    Raises ConfigurationError for a track of another kind.
    """

    def __init__(self, track: MediaTrack) -> None:
        import av

        self._ring = PcmRing(RATE, seconds=SECONDS)
        self._resampler = av.AudioResampler("s16", "mono", RATE)
        self._collecting = True
        super().__init__(track, "audio")

    clock_rate_hz = RATE
    """48,000 Hz."""

    @property
    def dropped_samples(self) -> int:
        """Samples dropped because the track was faster than the call."""
        return self._ring.dropped_samples

    @property
    def ended(self) -> bool:
        """Whether the track has ended and all samples were read."""
        return self._ring.ended

    def take_frame(self, frame: Any) -> None:
        """Convert and queue an audio frame of any FFmpeg format."""
        for each in self._resampler.resample(frame):
            self._ring.write_samples(each.to_ndarray()[0])

    def finish(self) -> None:
        """Close the ring; queued samples can still be read."""
        self._ring.close()

    def read(self, samples: int) -> Pcm:
        """Return the next samples, `samples` at most; none while the buffer fills again."""
        if self._collecting and len(self._ring) < AHEAD * RATE and not self.over:
            return np.zeros(0, dtype=np.int16)
        pcm = self._ring.read(samples)
        self._collecting = pcm.size < samples
        return pcm


class TrackVideoSource(_TrackReader):
    """The pictures of a track, as a `VideoSource` that gives the newest picture.

    Raises ConfigurationError for a track of another kind.
    """

    def __init__(self, track: MediaTrack) -> None:
        self._newest: Any = None
        self.dropped = 0
        super().__init__(track, "video")

    rate = FRAMES_A_SECOND
    """How often a second the call asks for a picture."""

    @property
    def ended(self) -> bool:
        """Whether the track has ended and its last picture was read."""
        return self.over and self._newest is None

    def take_frame(self, frame: Any) -> None:
        """Keep a picture of any FFmpeg format; it replaces and counts an unread one."""
        self.dropped += self._newest is not None
        self._newest = frame

    def finish(self) -> None:
        """Do nothing: the newest picture can still be read."""

    def read(self) -> Picture | EncodedFrame | None:
        """Return the newest picture; None if there is no new one."""
        frame, self._newest = self._newest, None
        return None if frame is None else to_picture(frame)
