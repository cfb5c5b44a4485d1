"""The lab's registrar: REGISTER, authentication, CUCM devices, and quality reports.

Keeps bindings, decides who may register and call, and sends phones service control and remote
control requests.  Calls are in `softphone.lab.calls`, the phone's own registration in
`softphone.sip.registration`, the verification of digests in `softphone.sip.auth`.

RFC 3261 sections 10.3 and 21.5.4, RFC 3327 (Path), RFC 3608 (Service-Route), RFC 5626 (outbound),
RFC 5627 section 5.4 (GRUU), RFC 5922 section 4 (certificates), RFC 3842 (message waiting),
RFC 3903 and RFC 6035 (quality reports), and the registration of devices as CUCM has it.
"""

from __future__ import annotations

from softphone.lab.registrar.authentication import REALM, LabAuthenticator
from softphone.lab.registrar.device_notify import DeviceNotifier
from softphone.lab.registrar.device_registrar import (
    DeviceRegistrar,
    LabResponse,
    NoResponse,
    is_device,
)
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
    "is_device",
]
