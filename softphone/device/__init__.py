"""softphone.device."""

from __future__ import annotations

from softphone.device.certificate_expiry import RenewalTimes
from softphone.device.maintenance import Caretaker, Hands

__all__ = ["Caretaker", "Hands", "RenewalTimes"]
