"""A video file as a source: its pictures when they are due, and its audio, read by PyAV.

The file is the user's own.  Other files that it names, such as the parts of a playlist, are not
opened.  PyAV is loaded on first use.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from softphone.errors import ConfigurationError
from softphone.extras import require_module
from softphone.media.interface import Pcm
from softphone.media.video.picture import Picture
from softphone.operating_system import open_to_read
from softphone.rtp import EncodedFrame

if TYPE_CHECKING:
    import av

logger = logging.getLogger("softphone.media")

MOST_PIXELS = 1280 * 720
"""The limit of H.264 level 3.1, which we offer (profile-level-id 42e01f)."""
FASTEST, USUAL = 30.0, 25.0
"""Frames a second: the limit of level 3.1 at that size, and the default for a file without one."""
NOTHING_ELSE = {"protocol_whitelist": "none"}


def _open(path: Path, kind: str) -> tuple[IO[bytes], Any, Any]:
    """Open a file; return it, its container and its first stream of a kind.

    Raises ConfigurationError.
    """
    require_module("av", "video", f"{path}: a video file needs PyAV")
    import av

    try:
        file = open_to_read(path)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    try:
        container = av.open(file, container_options=NOTHING_ELSE)
    except (OSError, av.FFmpegError) as error:
        file.close()
        raise ConfigurationError(f"{path} is no video file: {_reason(error)}") from error
    streams = [stream for stream in container.streams if stream.type == kind]
    if not streams:
        container.close()
        file.close()
        what = "picture" if kind == "video" else "sound"
        raise ConfigurationError(f"{path} has no {what} in it")
    return file, container, streams[0]


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)


class VideoFileSource:
    """The pictures of a file, scaled to 1280x720 at most.

    A `VideoSource`.  Raises ConfigurationError for a file that is missing or that no picture can be
    decoded from.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._file, self._container, stream = _open(self.path, "video")
        stream.thread_count = 1
        self.rate = min(float(stream.average_rate or USUAL) or USUAL, FASTEST)
        """Frames a second, 30 at most."""
        self._frames = self._decode(stream)
        self._count = 0
        self._start: float | None = None
        self._ahead = self._next()
        if self._ahead is None:
            self.close()
            raise ConfigurationError(f"{self.path}: no picture in it can be decoded")

    @property
    def ended(self) -> bool:
        """Whether all pictures were read."""
        return self._ahead is None

    def read(self) -> Picture | EncodedFrame | None:
        """Return the picture that is due; None if there is no new one."""
        due = self._count / self.rate
        self._count += 1
        picture: Picture | None = None
        while self._ahead is not None and self._ahead[0] <= due + 0.25 / self.rate:
            picture = self._ahead[1]
            self._ahead = self._next()
        return picture

    def _next(self) -> tuple[float, Picture] | None:
        """Return the next picture, and its time in seconds after the first one."""
        frame = next(self._frames, None)
        if frame is None:
            return None
        at = float(frame.time or 0.0)
        if self._start is None:
            self._start = at
        return at - self._start, to_picture(frame)

    def _decode(self, stream: Any) -> Iterator[av.VideoFrame]:
        import av

        try:
            yield from self._container.decode(stream)
        except av.FFmpegError as error:
            logger.warning("%s ends early: %s", self.path, _reason(error))

    def sound(self) -> FileAudioSource | None:
        """Open the file's audio from its beginning; None if it has none."""
        if not any(stream.type == "audio" for stream in self._container.streams):
            return None
        return FileAudioSource(self.path)

    def close(self) -> None:
        """Close the file; reading ends."""
        self._ahead = None
        self._container.close()
        self._file.close()


def to_picture(frame: av.VideoFrame) -> Picture:
    """Convert to I420 of a size that can be coded; keep the aspect ratio as far as possible."""
    share = min(1.0, (MOST_PIXELS / (frame.width * frame.height)) ** 0.5)
    width = max(int(frame.width * share) // 4 * 4, 4)
    height = max(int(frame.height * share) // 2 * 2, 2)
    if (frame.format.name, frame.width, frame.height) != ("yuv420p", width, height):
        frame = frame.reformat(width=width, height=height, format="yuv420p")
    return np.asarray(frame.to_ndarray(), dtype=np.uint8)


class FileAudioSource:
    """The audio of a file, as a `Source`: mono at `clock_rate_hz`.

    Raises ConfigurationError for a file without audio.
    """

    def __init__(self, path: str | os.PathLike[str], clock_rate_hz: int = 16000) -> None:
        self.path = Path(path)
        self.clock_rate_hz = clock_rate_hz
        """The sample rate in Hz."""
        self._file, self._container, stream = _open(self.path, "audio")
        import av

        self._resampler = av.AudioResampler("s16", "mono", clock_rate_hz)
        self._pieces = self._decode(stream)
        self._left: Pcm = np.zeros(0, dtype=np.int16)
        self._ended = False

    @property
    def ended(self) -> bool:
        """Whether all samples were read."""
        return self._ended and not self._left.size

    def read(self, samples: int) -> Pcm:
        """Return the next int16[samples], fewer at the end."""
        parts, count = [self._left], self._left.size
        while count < samples and not self._ended:
            piece = next(self._pieces, None)
            if piece is None:
                self._ended = True
            else:
                parts.append(piece)
                count += piece.size
        whole = np.concatenate(parts)
        self._left = whole[samples:]
        return whole[:samples]

    def _decode(self, stream: Any) -> Iterator[Pcm]:
        import av

        try:
            for frame in self._container.decode(stream):
                for each in self._resampler.resample(frame):
                    yield each.to_ndarray()[0]
            for each in self._resampler.resample(None):
                yield each.to_ndarray()[0]
        except av.FFmpegError as error:
            logger.warning("the sound of %s ends early: %s", self.path, _reason(error))

    def close(self) -> None:
        """Close the file."""
        self._ended, self._left = True, self._left[:0]
        self._container.close()
        self._file.close()
