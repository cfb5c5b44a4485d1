"""The other side of the wire: a CUCM-like server in this process."""

from __future__ import annotations

from softphone.lab.authority import Authority, Issued, Names, Validity
from softphone.lab.config import EXTENSIONS, LabConfig, LabUser, Login, crowd
from softphone.lab.pending_enrollment import CapfWay, read_order
from softphone.lab.prosody import DOMAIN, find_prosody
from softphone.lab.server import LabServer

__all__ = [
    "DOMAIN",
    "EXTENSIONS",
    "Authority",
    "CapfWay",
    "Issued",
    "LabConfig",
    "LabServer",
    "LabUser",
    "Login",
    "Names",
    "Validity",
    "crowd",
    "find_prosody",
    "read_order",
]
