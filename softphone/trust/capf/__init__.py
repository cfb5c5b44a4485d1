"""Cisco's Certificate Authority Proxy Function: client and server of one enrollment, without I/O.

The machine asks for keys, storage and deletion by events and is told by commands; it never sees the
new private key.  TLS, keys and files are brought by `softphone.provisioning` and
`softphone.trust.keystore`; whether to enroll is decided in `softphone.provisioning`, and the server
is run by `softphone.lab`.

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
