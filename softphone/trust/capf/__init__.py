"""softphone.trust.capf."""

from __future__ import annotations

from softphone.trust.capf.client import CapfClient
from softphone.trust.capf.errors import (
    CapfBusy,
    CapfCertificateRejected,
    CapfError,
    CapfInterrupted,
    CapfKeyRefused,
    CapfMalformed,
    CapfNotStored,
    CapfRefused,
    CapfUnfinished,
    CapfUnknownDevice,
)
from softphone.trust.capf.server import (
    Authentication,
    CapfDevice,
    CapfServer,
    CapfServerConfig,
    CapfServerEvent,
    CertificateCommitted,
    SessionEnded,
)
from softphone.trust.capf.session import (
    CapfEvent,
    CapfFailed,
    CapfFinished,
    CapfRequest,
    CapfState,
    CapfTimes,
    CertificateIssued,
    CertificateShown,
    DeletionWanted,
    KeyWanted,
    Operation,
)

__all__ = [
    "Authentication",
    "CapfBusy",
    "CapfCertificateRejected",
    "CapfClient",
    "CapfDevice",
    "CapfError",
    "CapfEvent",
    "CapfFailed",
    "CapfFinished",
    "CapfInterrupted",
    "CapfKeyRefused",
    "CapfMalformed",
    "CapfNotStored",
    "CapfRefused",
    "CapfRequest",
    "CapfServer",
    "CapfServerConfig",
    "CapfServerEvent",
    "CapfState",
    "CapfTimes",
    "CapfUnfinished",
    "CapfUnknownDevice",
    "CertificateCommitted",
    "CertificateIssued",
    "CertificateShown",
    "DeletionWanted",
    "KeyWanted",
    "Operation",
    "SessionEnded",
]
