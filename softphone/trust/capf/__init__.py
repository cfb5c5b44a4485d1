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
    CapfAuthentication,
    CapfDevice,
    CapfServer,
    CapfServerConfig,
    CapfServerEvent,
    CapfSessionEnded,
    CertificateCommitted,
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
    "CapfAuthentication",
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
    "CapfOperation",
    "CapfRefused",
    "CapfRequest",
    "CapfServer",
    "CapfServerConfig",
    "CapfServerEvent",
    "CapfSessionEnded",
    "CapfState",
    "CapfTimes",
    "CapfUnfinished",
    "CapfUnknownDevice",
    "CertificateCommitted",
    "CertificateIssued",
    "CertificateShown",
    "DeletionWanted",
    "KeyWanted",
]
