"""Detection in the sound of many streams at once: digits, voice, call progress, who answered.

It works on samples, and takes its time from them.  Digits that come as RTP events are read in
`softphone.media.tick`, tones are made in `softphone.media.audio`, and detectors are put on live
streams by `softphone.media.engine`.

ITU-T Q.23 and Q.24 (DTMF), E.180 and E.182 (call progress tones), T.30 (fax tones).  Voice
activity and the recognition of answering machines follow no standard.
"""

from __future__ import annotations

from softphone.media.detection.answering_machine import AnswerClassification
from softphone.media.detection.detector_bank import (
    DetectedSound,
    DetectionResult,
    DetectorBank,
    DetectorKind,
)

__all__ = [
    "AnswerClassification",
    "DetectedSound",
    "DetectionResult",
    "DetectorBank",
    "DetectorKind",
]
