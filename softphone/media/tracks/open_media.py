"""What an application gives to be played or recorded: a source, a sink, a track, or a file by its
path.

A file that was named by its path belongs to whoever plays or records it: it is closed when
something else takes its place, and at the end of the call.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeGuard, cast

from softphone.media.audio import Attached, WavSink, WavSource
from softphone.media.interface import MediaError, Sink, Source
from softphone.media.tracks.track_source import Track, TrackPictures, TrackSound, is_track
from softphone.media.video import VideoFileSource, VideoSource

__all__ = ["KeptWav", "OpenedFilm", "OpenedWav", "is_path", "pictures_of", "sink_of", "sound_of"]


def is_path(given: object) -> TypeGuard[str | os.PathLike[str]]:
    """Whether it is the path of a file."""
    return isinstance(given, str | os.PathLike)


class OpenedWav(WavSource, Attached):
    """A WAV file that is closed when it is not played any more."""

    def detach(self) -> None:
        """It is not played any more."""
        self.close()


class OpenedFilm(VideoFileSource, Attached):
    """The pictures of a file that is closed when they are not played any more."""

    def detach(self) -> None:
        """They are not played any more."""
        self.close()


class KeptWav(WavSink, Attached):
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


def sound_of(
    given: Source | Track | str | os.PathLike[str] | None, clock_rate_hz: int
) -> Source | None:
    """What is given, as a source; a file is opened at this rate.

    Raises ConfigurationError for a track that is not of audio, or a file that cannot be played.
    """
    if is_path(given):
        return OpenedWav(given, clock_rate_hz)
    return TrackSound(given) if is_track(given) else cast("Source | None", given)


def pictures_of(given: VideoSource | Track | str | os.PathLike[str] | None) -> VideoSource | None:
    """What is given, as a source of pictures.

    Raises ConfigurationError for a track that is not of video, or a file that cannot be played.
    """
    if is_path(given):
        return OpenedFilm(given)
    return TrackPictures(given) if is_track(given) else cast("VideoSource | None", given)


def sink_of(
    given: Sink | str | os.PathLike[str] | None, failed: Callable[[str], None]
) -> Sink | None:
    """What is given, as a sink.  Raises ConfigurationError for a file that cannot be made."""
    return KeptWav(given, failed) if is_path(given) else cast("Sink | None", given)
