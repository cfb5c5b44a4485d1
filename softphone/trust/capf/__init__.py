"""Cisco's Certificate Authority Proxy Function (CAPF): client and server, without I/O.

The client requests keys, storage and deletion by events, and its driver answers with commands; the
new private key never enters the machine.  `softphone.provisioning` decides whether to enroll, runs
the TLS connection and makes the key; `softphone.trust.keystore` stores it.  `softphone.lab` runs
the server.

No standard: the protocol is Cisco's, versions 2 and 3 as CUCM and its phones speak them.  An issued
certificate is checked by RFC 5280.
"""

from __future__ import annotations

from softphone.trust.capf.client import CapfClient
from softphone.trust.capf.errors import (
    CapfBusy,
    CapfCertificateRejected,
    CapfError,
    CapfInterrupted,
    CapfKeyRefused,
    CapfMalformed,
    CapfNotShown,
    CapfNotStored,
    CapfRefused,
    CapfUnfinished,
    CapfUnknownDevice,
)
from softphone.trust.capf.session import (
    CapfEvent,
    CapfFailed,
    CapfFinished,
    CapfOperation,
    CapfRequest,
    CapfState,
    CapfTimes,
    CertificateIssued,
    CertificateShown,
    DeletionWanted,
    KeyWanted,
)

__all__ = [
    "CapfBusy",
    "CapfCertificateRejected",
    "CapfClient",
    "CapfError",
    "CapfEvent",
    "CapfFailed",
    "CapfFinished",
    "CapfInterrupted",
    "CapfKeyRefused",
    "CapfMalformed",
    "CapfNotShown",
    "CapfNotStored",
    "CapfOperation",
    "CapfRefused",
    "CapfRequest",
    "CapfState",
    "CapfTimes",
    "CapfUnfinished",
    "CapfUnknownDevice",
    "CertificateIssued",
    "CertificateShown",
    "DeletionWanted",
    "KeyWanted",
]
