"""What an application gives to a call, or takes from it: files by their path and aiortc's tracks.

It turns a path or a track into sources and sinks.  Sources and sinks themselves are in
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
