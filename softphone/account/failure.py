"""Why a registration did not come about, as the exception to raise."""

from __future__ import annotations

from softphone.diagnostics.explain import explain_registrar
from softphone.errors import (
    AuthenticationFailed,
    RegistrationRefused,
    RegistrationTimeout,
    SoftphoneError,
)
from softphone.events import RegistrationChanged
from softphone.machine import Target

__all__ = ["registration_failure"]


def registration_failure(
    change: RegistrationChanged | None, connection: SoftphoneError | None, target: Target
) -> SoftphoneError:
    """The error for the last state `change`, or for the connection that could not be made."""
    status = 0 if change is None else change.status
    reason = "" if change is None else change.reason
    place = f"{target.transport}:{target.host}:{target.port}"
    if connection is not None and status in (0, 503):
        return connection
    if status in (401, 407):
        message = f"{place} did not accept our credentials: {reason or status}"
        return AuthenticationFailed(message, status=status, reason=reason)
    if status in (0, 408):
        message = f"{place} did not answer our REGISTER{': ' + reason if reason else ''}"
        return RegistrationTimeout(message, status=status, reason=reason)
    message = f"{place} refused our registration: {status} {reason}".rstrip()
    advice = explain_registrar(reason, status)
    if advice:
        message += f": {advice}"
    wait = 0.0 if change is None else change.retry_after
    return RegistrationRefused(message, status=status, reason=reason, retry_after=wait)
