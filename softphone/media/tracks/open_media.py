"""Opens the source or sink for an application's source, sink, track or file path.

A call owns the file of a path: it closes the file when another source or sink replaces it, and at
the end of the call.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeGuard, cast

from softphone.errors import MediaError
from softphone.media.audio import Detachable, WavSink, WavSource
from softphone.media.interface import (
    Sink,
    Source,
)
from softphone.media.tracks.track_source import (
    MediaTrack,
    TrackAudioSource,
    TrackVideoSource,
    is_track,
)
from softphone.media.video import VideoFileSource, VideoSource


def is_path(given: object) -> TypeGuard[str | os.PathLike[str]]:
    """Whether `given` is a file path: a str or an `os.PathLike`."""
    return isinstance(given, str | os.PathLike)


class AutoClosingWavSource(WavSource, Detachable):
    """A WAV file that is closed when the call stops playing it."""

    def detach(self) -> None:
        """Close the file."""
        self.close()


class AutoClosingVideoSource(VideoFileSource, Detachable):
    """The pictures of a video file that is closed when the call stops playing them."""

    def detach(self) -> None:
        """Close the file."""
        self.close()


class AutoClosingWavSink(WavSink, Detachable):
    """A new WAV file that is completed when the call stops recording to it.

    `failed` is called with the reason if it cannot be completed.
    """

    def __init__(self, path: str | os.PathLike[str], failed: Callable[[str], None]) -> None:
        super().__init__(path)
        self._failed = failed

    def detach(self) -> None:
        """Complete the file, or call `failed`."""
        try:
            self.close()
        except MediaError as error:
            self._failed(str(error))


def open_source(
    given: Source | MediaTrack | str | os.PathLike[str] | None, clock_rate_hz: int
) -> Source | None:
    """Return `given` as an audio source; a file is opened at `clock_rate_hz`.

    Raises ConfigurationError for a track that is not audio, or a file that cannot be played.
    """
    if is_path(given):
        return AutoClosingWavSource(given, clock_rate_hz)
    return TrackAudioSource(given) if is_track(given) else cast("Source | None", given)


def open_video_source(
    given: VideoSource | MediaTrack | str | os.PathLike[str] | None,
) -> VideoSource | None:
    """Return `given` as a video source.

    Raises ConfigurationError for a track that is not video, or a file that cannot be played.
    """
    if is_path(given):
        return AutoClosingVideoSource(given)
    return TrackVideoSource(given) if is_track(given) else cast("VideoSource | None", given)


def open_sink(
    given: Sink | str | os.PathLike[str] | None, failed: Callable[[str], None]
) -> Sink | None:
    """Return `given` as a sink.  Raises ConfigurationError for a file that cannot be created."""
    return AutoClosingWavSink(given, failed) if is_path(given) else cast("Sink | None", given)
