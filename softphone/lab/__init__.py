"""The other side of the wire: a CUCM-like server in this process."""

from __future__ import annotations

from softphone.lab.authority import Authority, Issued, Names, Validity
from softphone.lab.config import EXTENSIONS, LabConfig, LabUser, Login
from softphone.lab.server import LabServer

__all__ = [
    "EXTENSIONS",
    "Authority",
    "Issued",
    "LabConfig",
    "LabServer",
    "LabUser",
    "Login",
    "Names",
    "Validity",
]
