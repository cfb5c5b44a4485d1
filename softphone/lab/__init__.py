"""The other side of the wire: a CUCM-like server in this process."""

from __future__ import annotations

from softphone.lab.authority import Authority, CertificateNames, IssuedCertificate, Validity
from softphone.lab.config import EXTENSIONS, LabConfig, LabUser, Login, make_load_users
from softphone.lab.pending_enrollment import CapfAuthMode, parse_pending_enrollment
from softphone.lab.prosody import DOMAIN, find_prosody
from softphone.lab.server import LabServer

__all__ = [
    "DOMAIN",
    "EXTENSIONS",
    "Authority",
    "CapfAuthMode",
    "CertificateNames",
    "IssuedCertificate",
    "LabConfig",
    "LabServer",
    "LabUser",
    "Login",
    "Validity",
    "find_prosody",
    "make_load_users",
    "parse_pending_enrollment",
]
