"""softphone.media.recording."""

from __future__ import annotations

from softphone.media.recording.recording import Recording
from softphone.media.recording.video_recording import VideoRecording

__all__ = ["Recording", "VideoRecording"]
