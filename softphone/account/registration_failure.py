"""Why a registration did not come about, as the exception to raise."""

from __future__ import annotations

from softphone.diagnostics.refusal_text import explain_no_answer, explain_registrar
from softphone.errors import (
    AuthenticationFailed,
    ConnectionLost,
    RegistrationRefused,
    RegistrationTimeout,
    SoftphoneError,
)
from softphone.events import RegistrationChanged
from softphone.sans_io import Target

__all__ = ["registration_failure"]


def registration_failure(
    change: RegistrationChanged | None, connection: SoftphoneError | None, target: Target
) -> SoftphoneError:
    """The error for the last state `change`, or for the connection that could not be made."""
    status = 0 if change is None else change.status
    reason = "" if change is None else change.reason
    place = f"{target.transport}:{target.host}:{target.port}"
    unanswered = change is None or status == 0 or change.unanswered
    if unanswered and connection is not None and status in (0, 503):
        return connection
    if unanswered and status == 503:
        # Our own (RFC 3261 section 8.1.3.1): the registrar has refused nothing.
        return ConnectionLost(f"{place}: no answer to our REGISTER: {explain_no_answer(reason)}")
    if status in (401, 407):
        message = f"{place} did not accept our credentials: {reason or status}"
        return AuthenticationFailed(message, status=status, reason=reason)
    if status in (0, 408):
        why = _silence(target) if unanswered else reason
        message = f"{place} did not answer our REGISTER{': ' + why if why else ''}"
        return RegistrationTimeout(message, status=status, reason=reason)
    message = f"{place} refused our registration: {status} {reason}".rstrip()
    advice = explain_registrar(reason, status)
    if advice:
        message += f": {advice}"
    wait = 0.0 if change is None else change.retry_after
    return RegistrationRefused(message, status=status, reason=reason, retry_after=wait)


def _silence(target: Target) -> str:
    """What to look at when nobody has said a word; over UDP nobody refuses a connection either."""
    return (
        "is that the server's address and port, and do firewalls let "
        f"{target.transport.upper()} through?"
    )
