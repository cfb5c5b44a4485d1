"""Any aiortc `MediaStreamTrack` as what a call sends: its sound, its pictures.

A track sets its own pace, as aiortc's do: what comes faster than it can be sent is dropped, the
oldest first, and counted.  Nothing of aiortc is needed here: a track is what has `kind` and
`recv()`, and gives PyAV's frames.
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
"""Sound kept at most, and collected before any is sent: tracks come unevenly."""
FRAMES_A_SECOND = 30.0


@runtime_checkable
class MediaTrack(Protocol):
    """What is needed of a track."""

    kind: str

    async def recv(self) -> Any:
        """The next frame; raises at the end."""


def is_track(source: object) -> TypeGuard[MediaTrack]:
    """Whether it is a track, and not a source."""
    return isinstance(source, MediaTrack) and not hasattr(source, "read")


class _TrackReader(Detachable):
    """Takes frames off a track until it ends."""

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
            # MediaStreamError is how a track ends; what else goes wrong in one ends it, too.
            if type(error).__name__ != "MediaStreamError":
                logger.warning("a track that is sent has failed: %r", error)
        finally:
            self.over = True
            self.finish()

    @abstractmethod
    def take_frame(self, frame: Any) -> None:
        """One frame."""

    @abstractmethod
    def finish(self) -> None:
        """No more will come."""

    def detach(self) -> None:
        """Take no more off the track."""
        self._task.cancel()


class TrackAudioSource(_TrackReader):
    """The sound of a track, as a `Source` at 48 kHz.

    Raises ConfigurationError for a track of another kind.
    """

    def __init__(self, track: MediaTrack) -> None:
        import av

        self._ring = PcmRing(RATE, seconds=SECONDS)
        self._resampler = av.AudioResampler("s16", "mono", RATE)
        self._collecting = True
        super().__init__(track, "audio")

    clock_rate_hz = RATE
    """48,000."""

    @property
    def dropped_samples(self) -> int:
        """Samples that came too fast."""
        return self._ring.dropped_samples

    @property
    def ended(self) -> bool:
        """Whether the track has ended and everything was read."""
        return self._ring.ended

    def take_frame(self, frame: Any) -> None:
        """Sound in any of FFmpeg's formats."""
        for each in self._resampler.resample(frame):
            self._ring.write_samples(each.to_ndarray()[0])

    def finish(self) -> None:
        """What is there is still read."""
        self._ring.close()

    def read(self, samples: int) -> Pcm:
        """Take out at most `samples`; none while some are being collected."""
        if self._collecting and len(self._ring) < AHEAD * RATE and not self.over:
            return np.zeros(0, dtype=np.int16)
        pcm = self._ring.read(samples)
        self._collecting = pcm.size < samples
        return pcm


class TrackVideoSource(_TrackReader):
    """The pictures of a track, as a `VideoSource`: the newest one, whenever one is due.

    Raises ConfigurationError for a track of another kind.
    """

    def __init__(self, track: MediaTrack) -> None:
        self._newest: Any = None
        self.dropped = 0
        super().__init__(track, "video")

    rate = FRAMES_A_SECOND
    """How often it is looked for a new picture, in a second."""

    @property
    def ended(self) -> bool:
        """Whether the track has ended."""
        return self.over and self._newest is None

    def take_frame(self, frame: Any) -> None:
        """A picture in any of FFmpeg's formats."""
        self.dropped += self._newest is not None
        self._newest = frame

    def finish(self) -> None:
        """The newest one may still be read."""

    def read(self) -> Picture | EncodedFrame | None:
        """The newest picture; None if it was given already."""
        frame, self._newest = self._newest, None
        return None if frame is None else to_picture(frame)
