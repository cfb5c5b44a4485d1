"""Causes of failure as short words to count; their number is bounded, whatever a peer sends."""

from __future__ import annotations

from softphone.errors import (
    CallError,
    CertificateError,
    CertificateExpired,
    ConfigurationError,
    NoAnswer,
    NoConnection,
    NoPortFree,
    RegistrationError,
    SoftphoneError,
    TransportError,
)
from softphone.events import CallEnded, EndedBy
from softphone.security import SecurityShortfall
from softphone.sip.message import REASON_PHRASES


def failure_cause(error: Exception) -> str:
    """The cause of a failure.  Omits the peer's own text, which could be different every time."""
    if isinstance(error, SecurityShortfall):
        return f"refused by us: {error.shortfalls[0].code.value}"
    if isinstance(error, NoAnswer) and error.reason == "":
        return "no answer in time"
    if isinstance(error, NoConnection):
        return "no connection"
    if isinstance(error, CallError | RegistrationError) and error.status:
        return _status(error.status)
    if isinstance(error, NoPortFree):
        return "no media port"
    if isinstance(error, CertificateError | TransportError):
        return _words(type(error).__name__)
    if isinstance(error, ConfigurationError):
        expired = isinstance(error.__cause__, CertificateExpired)
        return "own certificate out of date" if expired else "own configuration"
    if isinstance(error, SoftphoneError):
        return _words(type(error).__name__)
    return f"scenario: {type(error).__name__}"


def end_cause(ended: CallEnded) -> str:
    """Who ended a call, with the status if there is one; a lost connection has none."""
    if ended.by is EndedBy.TRANSPORT:
        return ended.by.value
    return f"{ended.by.value} {_status(ended.status)}" if ended.status else ended.by.value


def status_cause(status: int, *, answered: bool = True) -> str:
    """The cause of a failure that a response told, or, without one, that our own status tells."""
    if answered:
        return _status(status)
    return "no answer in time" if status == 408 else "connection lost"


def _status(status: int) -> str:
    return f"{status} {REASON_PHRASES.get(status, '')}".rstrip()


def _words(name: str) -> str:
    """CertificateExpired -> certificate expired."""
    return "".join(f" {c.lower()}" if c.isupper() else c for c in name).strip()
