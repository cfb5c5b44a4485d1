"""What an application gives to be played or recorded: a source, a sink, a track, or a file by its
path.

A file that was named by its path belongs to whoever plays or records it: it is closed when
something else takes its place, and at the end of the call.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeGuard, cast

from softphone.media.audio import Detachable, WavSink, WavSource
from softphone.media.interface import MediaError, Sink, Source
from softphone.media.tracks.track_source import (
    MediaTrack,
    TrackAudioSource,
    TrackVideoSource,
    is_track,
)
from softphone.media.video import VideoFileSource, VideoSource


def is_path(given: object) -> TypeGuard[str | os.PathLike[str]]:
    """Whether it is the path of a file."""
    return isinstance(given, str | os.PathLike)


class AutoClosingWavSource(WavSource, Detachable):
    """A WAV file that is closed when it is not played any more."""

    def detach(self) -> None:
        """It is not played any more."""
        self.close()


class AutoClosingVideoSource(VideoFileSource, Detachable):
    """The pictures of a file that is closed when they are not played any more."""

    def detach(self) -> None:
        """They are not played any more."""
        self.close()


class AutoClosingWavSink(WavSink, Detachable):
    """A new WAV file that is finished when nothing more is recorded to it; `failed` is told why it
    could not be."""

    def __init__(self, path: str | os.PathLike[str], failed: Callable[[str], None]) -> None:
        super().__init__(path)
        self._failed = failed

    def detach(self) -> None:
        """Nothing more is recorded to it."""
        try:
            self.close()
        except MediaError as error:
            self._failed(str(error))


def open_source(
    given: Source | MediaTrack | str | os.PathLike[str] | None, clock_rate_hz: int
) -> Source | None:
    """What is given, as a source; a file is opened at this rate.

    Raises ConfigurationError for a track that is not of audio, or a file that cannot be played.
    """
    if is_path(given):
        return AutoClosingWavSource(given, clock_rate_hz)
    return TrackAudioSource(given) if is_track(given) else cast("Source | None", given)


def open_video_source(
    given: VideoSource | MediaTrack | str | os.PathLike[str] | None,
) -> VideoSource | None:
    """What is given, as a source of pictures.

    Raises ConfigurationError for a track that is not of video, or a file that cannot be played.
    """
    if is_path(given):
        return AutoClosingVideoSource(given)
    return TrackVideoSource(given) if is_track(given) else cast("VideoSource | None", given)


def open_sink(
    given: Sink | str | os.PathLike[str] | None, failed: Callable[[str], None]
) -> Sink | None:
    """What is given, as a sink.  Raises ConfigurationError for a file that cannot be made."""
    return AutoClosingWavSink(given, failed) if is_path(given) else cast("Sink | None", given)
