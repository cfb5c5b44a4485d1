"""Detects in-band DTMF, voice, call progress tones and answering machines, in many streams at once.

It works on samples and on media time, without a clock.  `softphone.media.tick` receives digits as
telephone events, `softphone.media.audio` generates tones, `softphone.media.engine` attaches
detectors to live streams.

ITU-T Q.23 and Q.24 (DTMF), E.180 and E.182 (call progress tones), T.30 (fax tones).  Voice
activity, by the spectrum or by a neural model, and the recognition of answering machines follow no
standard.
"""

from __future__ import annotations

from softphone.media.detection.answering_machine import AnswerClassification
from softphone.media.detection.detector_bank import (
    DetectedSound,
    DetectionResult,
    DetectorBank,
    DetectorKind,
)
from softphone.media.detection.speech_model import (
    SpeechModel,
    find_speech_model,
    load_speech_model,
)

__all__ = [
    "AnswerClassification",
    "DetectedSound",
    "DetectionResult",
    "DetectorBank",
    "DetectorKind",
    "SpeechModel",
    "find_speech_model",
    "load_speech_model",
]
