"""A Cisco device after its boot: accounts for its lines, and maintenance of its certificate.

It warns before the certificate expires, renews it, registers with the new one while calls stay up,
and fetches the configuration again when the server asks for that.  Booting itself is in
`softphone.provisioning`, the CAPF machine in `softphone.trust.capf`, moving a registration in
`softphone.account`, the device's SIP behavior in `softphone.personas`.

No standard: it follows CUCM and its phones (CAPF, locally significant certificates, service
control).
"""

from __future__ import annotations

from softphone.device.certificate_expiry import RenewalTimes
from softphone.device.edge_account_file import write_edge_account
from softphone.device.edge_accounts import edge_access, edge_accounts
from softphone.device.maintenance import DeviceMaintenance, DeviceTokens, MaintenanceActions

__all__ = [
    "DeviceMaintenance",
    "DeviceTokens",
    "MaintenanceActions",
    "RenewalTimes",
    "edge_access",
    "edge_accounts",
    "write_edge_account",
]
