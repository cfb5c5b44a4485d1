"""The exceptions of softphone.

    SoftphoneError
    |-- ConfigurationError            what you gave us is wrong: a file, a key, an option
    |-- LocalProtocolError            a command that the state does not allow: our own misuse
    |-- TransportError                a connection could not be made or was lost
    |   |-- ConnectionLost            one that had been made is gone
    |   |-- TransportTimeout
    |   `-- ServerClosed              closed right after the handshake: it probably refused us
    |-- CertificateError              the far end's certificate was not accepted
    |   |-- CertificateUntrusted
    |   |   `-- CertificateUnknown      nobody we believe vouches for it: somebody may be asked
    |   |-- CertificateExpired
    |   |-- CertificateRevoked
    |   `-- IdentityMismatch
    |-- CipherRefused                 a cipher suite was agreed on that policy forbids
    |-- MessagingError
    |   |-- SignInRefused             the chat server did not accept us
    |   |-- MessageRefused            policy forbids the message: nothing of it was sent
    |   `-- MessageUndelivered        it came back, or nobody acknowledged it
    |-- DirectoryError                a directory could not be searched
    |   `-- DirectoryRefused          it does not accept us
    |-- TransferError                 a file did not come or go
    |   `-- TransferRefused           policy forbids it: nothing of it was sent, or kept
    |-- AuditError                    the audit table cannot be written, or was changed
    |-- TrustRefused                  a trust list or a signed file that we do not believe
    |-- RegistrationError
    |   |-- RegistrationRefused       403 and its kin: asking again will not help
    |   |-- AuthenticationFailed      401/407 after our answer, or no answer we may give
    |   `-- RegistrationTimeout
    |-- CallError                     a call that did not come about, by cause
    |   |-- Busy                      486, 600
    |   |-- Declined                  603, 403
    |   |-- NotFound                  404, 410, 484, 604
    |   |-- NoAnswer                  408, 480, or our own time-out
    |   |-- NotAcceptable             488, 606, 415: with the reason explained
    |   |-- Canceled                  487
    |   |-- Redirected                3xx, with the contacts
    |   `-- CallFailed                anything else
    |       `-- NoConnection          no response came: a connection was lost, or not made
    |-- FipsUnavailable               FIPS mode is asked for and not in effect, or cannot be left
    |-- FipsForbidden                 FIPS mode rules out what was asked for
    `-- SecurityShortfall             (in softphone.security) less security than was demanded

Every one of them carries a sentence that says what was wrong, where, and what to do.
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
    """The base of all of them."""


class ConfigurationError(SoftphoneError):
    """Something given by the user is wrong; nothing has been sent."""


class LocalProtocolError(SoftphoneError):
    """A command that the protocol does not allow in this state."""


class TransportError(SoftphoneError):
    """A connection could not be made, or was lost."""


class ConnectionLost(TransportError):
    """A connection that had been made is gone, before what was asked over it was answered."""


class TransportTimeout(TransportError):
    """The far end did not answer in time."""


class ServerClosed(TransportError):
    """The server closed after the TLS handshake and before its first byte."""


class CertificateError(SoftphoneError):
    """The far end's certificate was not accepted; no application data was sent."""


class CertificateUntrusted(CertificateError):
    """No path leads from the certificate to a trust anchor, or it differs from the pin."""


class CertificateUnknown(CertificateUntrusted):
    """No path leads from the certificate to a trust anchor; accepting it is up to somebody."""


class CertificateExpired(CertificateError):
    """A certificate is outside its validity period."""


class CertificateRevoked(CertificateError):
    """A certificate has been revoked by its issuer."""


class IdentityMismatch(CertificateError):
    """The certificate is sound, but it names somebody else (RFC 5922, RFC 9525)."""


class CipherRefused(SoftphoneError):
    """The far end agreed on a cipher suite that policy forbids; no application data was sent."""


class MessagingError(SoftphoneError):
    """Something about instant messages."""


class SignInRefused(MessagingError):
    """The chat server did not accept our credentials, or offers no way that policy allows."""


class MessageRefused(MessagingError):
    """Policy forbids the message; nothing of it was sent."""


class MessageUndelivered(MessagingError):
    """A message came back, or was not acknowledged in time."""


class DirectoryError(SoftphoneError):
    """A directory could not be searched."""


class DirectoryRefused(DirectoryError):
    """The directory does not accept our user, or does not let it search."""


class TransferError(SoftphoneError):
    """A file did not come, or did not go."""


class TransferRefused(TransferError):
    """Policy forbids the file; nothing of it was sent, or nothing of it was kept."""


class AuditError(SoftphoneError):
    """The audit table cannot be written, or what is in it was changed."""


class TrustRefused(SoftphoneError):
    """A trust list, or a file that has to be signed, is not believed; nothing of it was used."""


class FipsUnavailable(SoftphoneError):
    """The FIPS mode that was decided on is not the mode of this process; nothing was started."""


class FipsForbidden(SoftphoneError):
    """In FIPS mode there is no such thing as was asked for."""


class RegistrationError(SoftphoneError):
    """A registration did not come about.  `status` is the SIP status, or 0; `retry_after` are the
    seconds for which the registrar wants peace, 0 if it said none."""

    def __init__(
        self, message: str, *, status: int = 0, reason: str = "", retry_after: float = 0.0
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.retry_after = retry_after


class RegistrationRefused(RegistrationError):
    """The registrar refused for good."""


class AuthenticationFailed(RegistrationError):
    """The registrar did not accept our credentials, or asked for what policy forbids."""


class RegistrationTimeout(RegistrationError):
    """The registrar did not answer."""


class CallError(SoftphoneError):
    """A call did not come about.  `status` is the SIP status (RFC 3261 section 21), or 0."""

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
    """The call was given up before it was answered (487)."""


class Redirected(CallError):
    """The far end names other places (3xx) in `contacts`."""

    def __init__(
        self, message: str, *, status: int = 0, reason: str = "", contacts: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message, status=status, reason=reason)
        self.contacts = contacts


class CallFailed(CallError):
    """The call failed for another reason."""


class NoConnection(CallFailed):
    """The connection was lost before a response came, or could not be made: nobody has refused."""


def copy_error(error: E) -> E:
    """The same error, to be raised once more.

    One that was raised holds the frames that it went through: who keeps one for those who will ask
    for it later raises another, or would be held by what he keeps.
    """
    fresh = type(error).__new__(type(error), *error.args)
    vars(fresh).update(vars(error))
    fresh.__cause__ = error.__cause__
    return fresh
