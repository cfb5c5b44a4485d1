"""softphone.media.tracks."""

from __future__ import annotations

from softphone.media.tracks.open_media import is_path, pictures_of, sink_of, sound_of
from softphone.media.tracks.track_source import Track

__all__ = ["Track", "is_path", "pictures_of", "sink_of", "sound_of"]
