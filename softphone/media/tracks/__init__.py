"""Turns file paths and aiortc tracks into sources and sinks, and received media into tracks.

An application may pass a path or a track where a call takes a source or a sink.  Those are in
`softphone.media.audio` and `softphone.media.video`; WebRTC's transport (ICE, DTLS) is not
implemented, only its kind of track.

No standard: a track is aiortc's `MediaStreamTrack`, named after that of the W3C.  `receive_track`
is imported by its module: it needs aiortc, which is an extra, and PyAV, and is loaded when a call
is asked for a track.
"""

from __future__ import annotations

from softphone.media.tracks.open_media import is_path, open_sink, open_source, open_video_source
from softphone.media.tracks.track_source import MediaTrack

__all__ = ["MediaTrack", "is_path", "open_sink", "open_source", "open_video_source"]
