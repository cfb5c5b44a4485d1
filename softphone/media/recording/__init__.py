"""Recordings of calls: both sides as sound, or the far end's picture and sound, into one file.

It encodes and writes beside the media, so that a slow disk harms the recording only.  It neither
taps streams nor decides whether a call may be recorded: `softphone.call` connects it.  A single
stream goes to a WAV file by `softphone.media.audio`, packets are captured by
`softphone.diagnostics`.

No standard: WAV, and the containers and codecs that PyAV writes; lip sync by RFC 3550
section 6.4.1 is in `softphone.media.video`.  PyAV is loaded when a file needs it.
"""

from __future__ import annotations

from softphone.media.recording.recording import Recording
from softphone.media.recording.video_recording import VideoRecording

__all__ = ["Recording", "VideoRecording"]
