"""The commands of devices: `softphone boot`, `softphone enroll` and `softphone config`.

They boot from a device name, get, renew or delete a device's certificate, and show, verify or
decrypt configuration files.  Booting and files are the work of `softphone.provisioning`,
enrollment that of CAPF in `softphone.trust`, and registered lines are those of `softphone.phone`.

No standard: the formats of CUCM are implemented in the packages named.  Nothing is exported:
`options` is imported by `softphone.cli.commands`, the others when a command is run.
"""

from __future__ import annotations

__all__: list[str] = []
