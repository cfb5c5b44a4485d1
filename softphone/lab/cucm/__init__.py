"""What makes the lab a CUCM cluster to its phones: CAPF, TVS, trust lists and configuration files.

It decides what each device gets, and serves it.  The protocols are elsewhere: the CAPF and TVS
servers and the formats of CTL and ITL in `softphone.trust`, signed and encrypted files in
`softphone.provisioning`, TFTP in `softphone.provisioning.tftp`.  Phones register in
`softphone.lab.registrar`.

No standard: Cisco's CAPF, TVS, CTL, ITL and device configurations, as CUCM has them; files are
served by TFTP (RFC 1350), HTTP and HTTPS.  aiohttp is loaded when the file service starts.
"""

from __future__ import annotations

from softphone.lab.cucm.capf import LabCapf
from softphone.lab.cucm.cluster import LabCluster
from softphone.lab.cucm.tvs import LabTvs

__all__ = ["LabCapf", "LabCluster", "LabTvs"]
