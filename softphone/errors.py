"""The exceptions of softphone.

    SoftphoneError
    |-- ConfigurationError            what the user gave is wrong: a file, a key, an option
    |-- LocalProtocolError            a command that the state does not allow: caller misuse
    |-- TransportError                a connection could not be made or was lost
    |   |-- ConnectionLost            a connection that had been made was lost
    |   |-- TransportTimeout
    |   `-- ServerClosed              closed right after the handshake: it probably refused us
    |-- CertificateError              the far end's certificate was not accepted
    |   |-- CertificateUntrusted
    |   |   `-- CertificateUnknown      no trust anchor vouches for it: the user may be asked
    |   |-- CertificateExpired
    |   |-- CertificateRevoked
    |   `-- IdentityMismatch
    |-- CipherRefused                 the negotiated cipher suite is forbidden by policy
    |-- MessagingError
    |   |-- SignInRefused             the chat server did not accept us
    |   |-- MessageRefused            policy forbids the message: nothing of it was sent
    |   `-- MessageUndelivered        it came back, or was not acknowledged
    |-- DirectoryError                a directory could not be searched
    |   `-- DirectoryRefused          it does not accept us
    |-- TransferError                 a file transfer failed
    |   `-- TransferRefused           policy forbids the file: nothing of it was sent, or kept
    |-- AuditError                    the audit table cannot be written, or was changed
    |-- TrustRefused                  a trust list or a signed file that is not trusted
    |-- RegistrationError
    |   |-- RegistrationRefused       403 and similar: asking again will not help
    |   |-- AuthenticationFailed      401/407 after our answer, or no answer we may give
    |   `-- RegistrationTimeout
    |-- CallError                     a call that was not established, by cause
    |   |-- Busy                      486, 600
    |   |-- Declined                  603, 403
    |   |-- NotFound                  404, 410, 484, 604
    |   |-- NoAnswer                  408, 480, or our own time-out
    |   |-- NotAcceptable             488, 606, 415: with the reason explained
    |   |-- Canceled                  487
    |   |-- Redirected                3xx, with the contacts
    |   `-- CallFailed                anything else
    |       `-- NoConnection          no response: the connection was lost, or could not be made
    |-- FipsUnavailable               FIPS mode is requested and not in effect, or cannot be left
    |-- FipsForbidden                 FIPS mode forbids what was requested
    `-- SecurityShortfall             (in softphone.security) less security than was demanded

The text of each one says what was wrong, where, and what to do.
"""

from __future__ import annotations

from typing import TypeVar

__all__ = [
    "AuditError",
    "AuthenticationFailed",
    "Busy",
    "CallError",
    "CallFailed",
    "Canceled",
    "CertificateError",
    "CertificateExpired",
    "CertificateRevoked",
    "CertificateUnknown",
    "CertificateUntrusted",
    "CipherRefused",
    "ConfigurationError",
    "ConnectionLost",
    "Declined",
    "DirectoryError",
    "DirectoryRefused",
    "FipsForbidden",
    "FipsUnavailable",
    "IdentityMismatch",
    "LocalProtocolError",
    "MessageRefused",
    "MessageUndelivered",
    "MessagingError",
    "NoAnswer",
    "NoConnection",
    "NotAcceptable",
    "NotFound",
    "Redirected",
    "RegistrationError",
    "RegistrationRefused",
    "RegistrationTimeout",
    "ServerClosed",
    "SignInRefused",
    "SoftphoneError",
    "TransferError",
    "TransferRefused",
    "TransportError",
    "TransportTimeout",
    "TrustRefused",
    "copy_error",
]


E = TypeVar("E", bound="SoftphoneError")


class SoftphoneError(Exception):
    """The base class of all exceptions of softphone."""


class ConfigurationError(SoftphoneError):
    """Something given by the user is wrong; nothing has been sent."""


class LocalProtocolError(SoftphoneError):
    """A command that the protocol does not allow in this state."""


class TransportError(SoftphoneError):
    """A connection could not be made, or was lost."""


class ConnectionLost(TransportError):
    """An established connection was lost before what was requested over it was answered."""


class TransportTimeout(TransportError):
    """The far end did not answer in time."""


class ServerClosed(TransportError):
    """The server closed after the TLS handshake, before its first byte."""


class CertificateError(SoftphoneError):
    """The far end's certificate was not accepted; no application data was sent."""


class CertificateUntrusted(CertificateError):
    """No path leads from the certificate to a trust anchor, or it differs from the pin."""


class CertificateUnknown(CertificateUntrusted):
    """No path leads from the certificate to a trust anchor; the user may accept it."""


class CertificateExpired(CertificateError):
    """A certificate is outside its validity period."""


class CertificateRevoked(CertificateError):
    """A certificate has been revoked by its issuer."""


class IdentityMismatch(CertificateError):
    """The certificate is valid, but names another identity (RFC 5922, RFC 9525)."""


class CipherRefused(SoftphoneError):
    """The negotiated cipher suite is forbidden by policy; no application data was sent."""


class MessagingError(SoftphoneError):
    """Sending or receiving instant messages failed."""


class SignInRefused(MessagingError):
    """The chat server did not accept our credentials, or offers no mechanism that policy allows."""


class MessageRefused(MessagingError):
    """Policy forbids the message; nothing of it was sent."""


class MessageUndelivered(MessagingError):
    """A message came back, or was not acknowledged in time."""


class DirectoryError(SoftphoneError):
    """A directory could not be searched."""


class DirectoryRefused(DirectoryError):
    """The directory does not accept our user, or does not let this user search."""


class TransferError(SoftphoneError):
    """A file transfer failed."""


class TransferRefused(TransferError):
    """Policy forbids the file; nothing of it was sent, or nothing of it was kept."""


class AuditError(SoftphoneError):
    """The audit table cannot be written, or its content was changed."""


class TrustRefused(SoftphoneError):
    """A trust list, or a file that must be signed, is not trusted; nothing of it was used."""


class FipsUnavailable(SoftphoneError):
    """The process is not in the FIPS mode that was decided on; nothing was started."""


class FipsForbidden(SoftphoneError):
    """FIPS mode forbids what was requested."""


class RegistrationError(SoftphoneError):
    """A registration failed.

    `status` is the SIP status, or 0; `retry_after` is the registrar's Retry-After in seconds, 0 if
    it gave none.
    """

    def __init__(
        self, message: str, *, status: int = 0, reason: str = "", retry_after: float = 0.0
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.retry_after = retry_after


class RegistrationRefused(RegistrationError):
    """The registrar refused permanently."""


class AuthenticationFailed(RegistrationError):
    """The registrar did not accept our credentials, or asked for what policy forbids."""


class RegistrationTimeout(RegistrationError):
    """The registrar did not answer."""


class CallError(SoftphoneError):
    """A call was not established.  `status` is the SIP status (RFC 3261 section 21), or 0."""

    def __init__(self, message: str, *, status: int = 0, reason: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class Busy(CallError):
    """The far end is busy (486, 600)."""


class Declined(CallError):
    """The far end, or its server, does not want the call (603, 403)."""


class NotFound(CallError):
    """There is no such user (404, 410, 484, 604)."""


class NoAnswer(CallError):
    """Nobody answered (408, 480, or our own time-out)."""


class NotAcceptable(CallError):
    """The session description was not acceptable (488, 606, 415)."""


class Canceled(CallError):
    """The call was canceled before it was answered (487)."""


class Redirected(CallError):
    """The far end redirects the call (3xx) to `contacts`."""

    def __init__(
        self, message: str, *, status: int = 0, reason: str = "", contacts: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message, status=status, reason=reason)
        self.contacts = contacts


class CallFailed(CallError):
    """The call failed for another reason."""


class NoConnection(CallFailed):
    """The connection was lost before any response, or could not be made: nobody refused."""


def copy_error(error: E) -> E:
    """A copy of an error, to be raised again.

    A raised exception holds the frames that it passed through.  To keep an error for later
    callers, raise a copy of it, so that the kept one does not hold those frames.
    """
    fresh = type(error).__new__(type(error), *error.args)
    vars(fresh).update(vars(error))
    fresh.__cause__ = error.__cause__
    return fresh
