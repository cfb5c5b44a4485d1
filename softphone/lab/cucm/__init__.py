"""softphone.lab.cucm."""

from __future__ import annotations

from softphone.lab.cucm.capf import LabCapf
from softphone.lab.cucm.cluster import LabCluster
from softphone.lab.cucm.tvs import LabTvs

__all__ = ["LabCapf", "LabCluster", "LabTvs"]
