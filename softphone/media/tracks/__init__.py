"""softphone.media.tracks."""

from __future__ import annotations

from softphone.media.tracks.open_media import is_path, open_sink, open_source, open_video_source
from softphone.media.tracks.track_source import MediaTrack

__all__ = ["MediaTrack", "is_path", "open_sink", "open_source", "open_video_source"]
