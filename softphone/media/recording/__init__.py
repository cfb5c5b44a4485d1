"""Recordings of calls: both sides as sound, or the far end's picture and sound, into one file.

It encodes and writes outside the media tick, so a slow disk harms only the recording.
`softphone.call` taps the streams and decides whether a call may be recorded.
`softphone.media.audio` records a single stream to a WAV file, `softphone.diagnostics` captures
packets.

No standard: WAV, and the containers and codecs that PyAV writes; lip sync by RFC 3550
section 6.4.1 is in `softphone.media.video`.  PyAV is loaded when a file needs it.
"""

from __future__ import annotations

from softphone.media.recording.recording import Recording
from softphone.media.recording.video_recording import VideoRecording

__all__ = ["Recording", "VideoRecording"]
