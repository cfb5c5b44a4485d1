"""Errors of an enrollment with CAPF: one exception for each cause; the message says what to do.

SoftphoneError
`-- CapfError                     `reason` is the number that the server gave, or None
    |-- CapfRefused               7 before any operation: credentials, or nothing is pending
    |-- CapfUnknownDevice         9
    |-- CapfKeyRefused            the key that was asked for is not one that we make
    |-- CapfUnfinished            the server ended after the key was made: 7, 0 or another
    |-- CapfBusy                  asked to come again later; `delay` in seconds
    |-- CapfMalformed             the server sent something that is no CAPF
    |-- CapfInterrupted           closed, or silent for too long
    |-- CapfNotShown              the server asked for the certificate, and there is none
    |-- CapfNotStored             the certificate came, and could not be written
    `-- CapfCertificateRejected   the certificate came, and is not ours (a CertificateError too)
"""

from __future__ import annotations

from softphone.errors import CertificateError, SoftphoneError
from softphone.trust.capf.message import CapfReason

__all__ = [
    "CapfBusy",
    "CapfCertificateRejected",
    "CapfError",
    "CapfInterrupted",
    "CapfKeyRefused",
    "CapfMalformed",
    "CapfNotShown",
    "CapfNotStored",
    "CapfRefused",
    "CapfUnfinished",
    "CapfUnknownDevice",
    "nothing_to_show",
    "refusal",
]

REARM = "the operation is used up at the server: ask the administrator to set it again"


class CapfError(SoftphoneError):
    """The enrollment failed; the previous identity stays in use.

    `reason` is the number that the server gave, or None.
    """

    _hint = "ask the administrator to look at the device's certificate operation"

    def __init__(self, message: str, *, reason: int | None = None) -> None:
        super().__init__(message)
        self.reason = reason


class CapfRefused(CapfError):
    """The server refused before any operation began."""


class CapfUnknownDevice(CapfError):
    """The server does not know the device name."""

    _hint = "compare device.name with the server's, letter by letter"


class CapfKeyRefused(CapfError):
    """The server asked for a key that we do not make, or no key could be made."""


class CapfUnfinished(CapfError):
    """The server ended an operation that had begun."""


class CapfBusy(CapfError):
    """The server asks to come again in `delay` seconds."""

    _hint = "try again after the time that the server asks for"

    def __init__(self, message: str, *, delay: float = 30.0) -> None:
        super().__init__(message)
        self.delay = delay


class CapfMalformed(CapfError):
    """The server sent something that is no CAPF, or not allowed in this state."""

    _hint = "check that address and port are those of CAPF, usually port 3804"


class CapfInterrupted(CapfError):
    """The connection closed, or the server was silent for too long."""

    _hint = "try again; if it happens again, ask the administrator for CAPF's log"


class CapfNotStored(CapfError):
    """The certificate could not be stored."""

    _hint = "let the store be written, and have the administrator set the operation again"


class CapfNotShown(CapfError):
    """The server asked for the certificate, and there is none."""


class CapfCertificateRejected(CapfError, CertificateError):
    """The issued certificate was not accepted and not stored."""


def nothing_to_show(device: str) -> CapfNotShown:
    """The exception for a fetch when the device has no certificate to show."""
    return CapfNotShown(
        f"the CAPF server asked for the certificate of {device}, and none is stored here: ask the"
        " administrator to set Install/Upgrade instead of Troubleshoot"
    )


def refusal(device: str, reason: int | None, *, begun: bool) -> CapfError:
    """The exception for a server's END_SESSION with `reason`; `begun`: an installation began."""
    if begun:
        said = "without a certificate" if reason is None or reason <= 1 else f"with {reason}"
        return CapfUnfinished(
            f"the CAPF server ended the session {said} after the key was made; ask the"
            " administrator for CAPF's log, and to set the operation again",
            reason=reason,
        )
    if reason == CapfReason.UNKNOWN_DEVICE:
        return CapfUnknownDevice(
            f"the CAPF server does not know the device {device} (reason 9): check its name, or ask"
            " the administrator to add it",
            reason=reason,
        )
    if reason == CapfReason.REFUSED:
        return CapfRefused(
            f"the CAPF server refused {device} (reason 7): the authentication string or the"
            " certificate is not the right one, or no operation is pending; ask the administrator"
            " to set one",
            reason=reason,
        )
    number = "no reason" if reason is None else f"reason {reason}"
    return CapfRefused(
        f"the CAPF server refused {device} with {number}, which is not one that we know; ask the"
        " administrator for CAPF's log",
        reason=reason,
    )
