"""softphone.device."""

from __future__ import annotations

from softphone.device.certificate_expiry import RenewalTimes
from softphone.device.maintenance import DeviceMaintenance, MaintenanceActions

__all__ = ["DeviceMaintenance", "MaintenanceActions", "RenewalTimes"]
