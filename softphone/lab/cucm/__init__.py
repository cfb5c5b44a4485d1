"""The parts that make the lab a CUCM cluster: CAPF, TVS, trust lists and configuration files.

Decides what each device gets, and serves it.  The protocols are elsewhere: the CAPF and TVS servers
and the CTL and ITL formats in `softphone.trust`, signed and encrypted files in
`softphone.provisioning`, TFTP in `softphone.provisioning.tftp`.  Phones register in
`softphone.lab.registrar`.

Implements no public standard but TFTP (RFC 1350), HTTP and HTTPS: Cisco's CAPF, TVS, CTL, ITL and
device configurations, as CUCM has them.  aiohttp is loaded when the file service starts.
"""

from __future__ import annotations

from softphone.lab.cucm.capf import LabCapf
from softphone.lab.cucm.cluster import LabCluster
from softphone.lab.cucm.tvs import LabTvs

__all__ = ["LabCapf", "LabCluster", "LabTvs"]
