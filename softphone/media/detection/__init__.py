"""softphone.media.detection."""

from __future__ import annotations

from softphone.media.detection.answering_machine import AnswerVerdict
from softphone.media.detection.detector_bank import Detected, DetectorBank, Found, Wanted

__all__ = ["AnswerVerdict", "Detected", "DetectorBank", "Found", "Wanted"]
