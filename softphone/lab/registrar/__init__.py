"""softphone.lab.registrar."""

from __future__ import annotations

from softphone.lab.registrar.authentication import REALM, Gatekeeper
from softphone.lab.registrar.device_notify import DeviceService
from softphone.lab.registrar.device_registrar import Answer, DeviceRegistrar, Silence
from softphone.lab.registrar.quality_collector import Collector
from softphone.lab.registrar.registrar import Registrar, RegistrarConfig, StoredBinding

__all__ = [
    "REALM",
    "Answer",
    "Collector",
    "DeviceRegistrar",
    "DeviceService",
    "Gatekeeper",
    "Registrar",
    "RegistrarConfig",
    "Silence",
    "StoredBinding",
]
