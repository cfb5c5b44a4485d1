"""softphone.media.detection."""

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
