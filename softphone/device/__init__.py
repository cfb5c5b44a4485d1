"""A Cisco device after its boot: accounts for its lines, and maintenance of its certificate.

It warns before the certificate ends, renews it, registers with the new one while calls stay up, and
fetches the configuration again when the server asks for that.  Booting itself is in
`softphone.provisioning`, the machine of CAPF in `softphone.trust.capf`, moving a registration in
`softphone.account`, how the device speaks SIP in `softphone.personas`.

No standard: it follows what CUCM and its phones do (CAPF, locally significant certificates, service
control).
"""

from __future__ import annotations

from softphone.device.certificate_expiry import RenewalTimes
from softphone.device.maintenance import DeviceMaintenance, MaintenanceActions

__all__ = ["DeviceMaintenance", "MaintenanceActions", "RenewalTimes"]
