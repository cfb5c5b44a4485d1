"""Cancels echo and suppresses noise in mono sound, by WebRTC's audio processing.

Independent of calls and sound cards: `softphone.media.audio` applies it to what a call receives and
to a sound card's microphone, and `softphone.media.detection` finds speech.  The library is optional
(`softphone[voice-processing]`, pywebrtc-audio), and loaded on first use.

It follows no standard.
"""

from __future__ import annotations

from softphone.media.processing.voice_processor import (
    NoiseSuppression,
    VoiceProcessing,
    VoiceProcessor,
)

__all__ = ["NoiseSuppression", "VoiceProcessing", "VoiceProcessor"]
