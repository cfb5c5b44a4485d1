"""softphone.lab.registrar."""

from __future__ import annotations

from softphone.lab.registrar.authentication import REALM, LabAuthenticator
from softphone.lab.registrar.device_notify import DeviceNotifier
from softphone.lab.registrar.device_registrar import DeviceRegistrar, LabResponse, NoResponse
from softphone.lab.registrar.quality_collector import QualityReportCollector
from softphone.lab.registrar.registrar import Registrar, RegistrarConfig, StoredBinding

__all__ = [
    "REALM",
    "DeviceNotifier",
    "DeviceRegistrar",
    "LabAuthenticator",
    "LabResponse",
    "NoResponse",
    "QualityReportCollector",
    "Registrar",
    "RegistrarConfig",
    "StoredBinding",
]
