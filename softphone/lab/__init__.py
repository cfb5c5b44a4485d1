"""A CUCM-like call server in this process, for demonstrations and tests, never for production.

Provides a registrar, call control, a certificate authority, a directory, voice mailboxes and, where
Prosody is installed, a chat server.  Everything listens on one loopback address.  Messages and
formats are those of `softphone.sip`, `softphone.trust` and `softphone.provisioning`, connections
those of `softphone.net`.  `softphone.load` generates load, `softphone.cli` has the commands.

RFC 5280, RFC 6960 and RFC 5922 (certificates, OCSP, SIP identities), RFC 7617 with Cisco's User
Data Services (`uds_directory`) and mailbox interface (`unity_connection`); the subpackages name the
rest.
"""

from __future__ import annotations

from softphone.lab.authority import Authority, CertificateNames, IssuedCertificate, Validity
from softphone.lab.config import (
    EXTENSIONS,
    LabConfig,
    LabUser,
    Login,
    SharedLine,
    make_load_users,
)
from softphone.lab.dns_server import DISCOVERY_DOMAIN
from softphone.lab.pending_enrollment import CapfAuthMode, parse_pending_enrollment
from softphone.lab.prosody import DOMAIN, find_prosody
from softphone.lab.server import LabServer

__all__ = [
    "DISCOVERY_DOMAIN",
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
    "SharedLine",
    "Validity",
    "find_prosody",
    "make_load_users",
    "parse_pending_enrollment",
]
