"""The exceptions of softphone.

    SoftphoneError
    |-- ConfigurationError            what the user gave is wrong: a file, a key, an option
    |-- LocalProtocolError            a command that the state does not allow: caller misuse
    |-- TransportError                a connection could not be made or was lost
    |   |-- ConnectionLost            a connection that had been made was lost
    |   |-- HostNotFound              DNS knows no address of a server's name
    |   |-- TransportTimeout
    |   `-- ServerClosed              closed right after the handshake: it probably refused us
    |-- CertificateError              the far end's certificate was not accepted
    |   |-- CertificateUntrusted
    |   |   `-- CertificateUnknown      no trust anchor vouches for it: the user may be asked
    |   |-- CertificateExpired
    |   |-- CertificateRevoked
    |   `-- IdentityMismatch
    |-- CipherRefused                 the negotiated cipher suite is forbidden by policy
    |-- SingleSignOnError             the authorization server gave no token
    |   `-- SingleSignOnRefused       it says no, or the stored token has ended: sign in again
    |-- MessagingError
    |   |-- SignInRefused             the chat server did not accept us
    |   |-- MessageRefused            policy forbids the message: nothing of it was sent
    |   `-- MessageUndelivered        it came back, or was not acknowledged
    |-- DirectoryError                a directory could not be searched
    |   `-- DirectoryRefused          it does not accept us
    |-- DiscoveryError                a user's services could not be found
    |   |-- DiscoveryRefused          a server does not know the user, or the password
    |   `-- CredentialsWithheld       nothing ties a server to the user's domain
    |-- EdgeError                     an edge server (Expressway) could not be used
    |   `-- EdgeRefused               it does not accept us, or reaches no such server
    |-- VoicemailError                a voice mailbox could not be read or changed
    |   |-- VoicemailRefused          it does not accept us
    |   `-- SecureMessageRefused      policy forbids it with a secure message: nothing was stored
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
    |   |-- DialRefused               the account's dial policy forbids it: nothing was sent
    |   `-- CallFailed                anything else
    |       `-- NoConnection          no response: the connection was lost, or could not be made
    |-- MediaError                    a file, device, port or worker of the media failed
    |   `-- NoPortFree                every port pair for media, or every stream, is in use
    |-- FipsUnavailable               FIPS mode is requested and not in effect, or cannot be left
    |-- FipsForbidden                 FIPS mode forbids what was requested
    `-- SecurityShortfall             (in softphone.security) less security than was demanded

The text of each one says what was wrong and where; `hint` says what to do about its kind.
"""

from __future__ import annotations

from typing import ClassVar, TypeVar

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
    "CredentialsWithheld",
    "Declined",
    "DialRefused",
    "DirectoryError",
    "DirectoryRefused",
    "DiscoveryError",
    "DiscoveryRefused",
    "EdgeError",
    "EdgeRefused",
    "FipsForbidden",
    "FipsUnavailable",
    "HostNotFound",
    "IdentityMismatch",
    "LocalProtocolError",
    "MediaError",
    "MessageRefused",
    "MessageUndelivered",
    "MessagingError",
    "NoAnswer",
    "NoConnection",
    "NoPortFree",
    "NotAcceptable",
    "NotFound",
    "Redirected",
    "RegistrationError",
    "RegistrationRefused",
    "RegistrationTimeout",
    "SecureMessageRefused",
    "ServerClosed",
    "SignInRefused",
    "SingleSignOnError",
    "SingleSignOnRefused",
    "SoftphoneError",
    "TransferError",
    "TransferRefused",
    "TransportError",
    "TransportTimeout",
    "TrustRefused",
    "VoicemailError",
    "VoicemailRefused",
]


E = TypeVar("E", bound="SoftphoneError")


class SoftphoneError(Exception):
    """The base class of all exceptions of softphone."""

    _hint: ClassVar[str] = ""

    @property
    def hint(self) -> str:
        """What a person may do about it, as a sentence without capital and full stop.

        It holds for every error of the class, so that a program can show it beside the text.
        """
        return self._hint


class ConfigurationError(SoftphoneError):
    """Something given by the user is wrong; nothing of what was asked for has been done."""

    _hint = "correct what the message names, and try again: nothing has been done"


class LocalProtocolError(SoftphoneError):
    """A command that the protocol does not allow in this state."""

    _hint = "look at the state of the call or phone first: it does not allow this now"


class TransportError(SoftphoneError):
    """A connection could not be made, or was lost."""

    _hint = "check address and port, and whether the server runs"


class ConnectionLost(TransportError):
    """An established connection was lost before what was requested over it was answered."""

    _hint = (
        "try again: the connection broke after it had been made; look at the server's log "
        "if it does so often"
    )


class HostNotFound(TransportError):
    """DNS knows no address of a server's name: nothing was connected to."""

    _hint = (
        "check how the server's name is written, and whether this machine can look it up: names "
        "inside a company often need its network or VPN"
    )


class TransportTimeout(TransportError):
    """The far end did not answer in time."""

    _hint = "nothing answers: check address, port and firewall"


class ServerClosed(TransportError):
    """The server closed after the TLS handshake, before its first byte."""

    _hint = "the server wants a client certificate that it trusts: check tls.certificate"


class CertificateError(SoftphoneError):
    """The far end's certificate was not accepted; no application data was sent."""

    _hint = "compare the server's certificate with [tls] in the account file"


class CertificateUntrusted(CertificateError):
    """No path leads from the certificate to a trust anchor, or it differs from the pin."""

    _hint = "put the issuing CA's certificate into tls.ca, or pin the server's"


class CertificateUnknown(CertificateUntrusted):
    """No path leads from the certificate to a trust anchor; the user may accept it."""

    _hint = (
        "put the issuing CA's certificate into tls.ca, or accept this one through "
        "unknown_certificate"
    )


class CertificateExpired(CertificateError):
    """A certificate is outside its validity period."""

    _hint = "the certificate must be renewed; check this machine's clock, too"


class CertificateRevoked(CertificateError):
    """A certificate has been revoked by its issuer."""

    _hint = "the certificate was revoked by its issuer: ask the administrator"


class IdentityMismatch(CertificateError):
    """The certificate is valid, but names another identity (RFC 5922, RFC 9525)."""

    _hint = "use the full name that the certificate has, or set tls.server_name"


class CipherRefused(SoftphoneError):
    """The negotiated cipher suite is forbidden by policy; no application data was sent."""

    _hint = "let the server offer a cipher suite that encrypts and that policy allows"


class SingleSignOnError(SoftphoneError):
    """The authorization server gave no token, or something that is none."""

    _hint = "try again; check the addresses and the client_id in [oauth], and the server's state"


class SingleSignOnRefused(SingleSignOnError):
    """The authorization server, or the user there, said no; or there is no token that lasts."""

    _hint = (
        "sign in again; if that is refused, too, ask the administrator, who"
        " may have withdrawn all tokens"
    )


class MessagingError(SoftphoneError):
    """Sending or receiving instant messages failed."""

    _hint = "check the chat server's address and the connection to it"


class SignInRefused(MessagingError):
    """The chat server did not accept our credentials, or offers no mechanism that policy allows."""

    _hint = "check user name and password of the chat account"


class MessageRefused(MessagingError):
    """Policy forbids the message; nothing of it was sent."""

    _hint = "the recipient or the text is not allowed by policy: ask whoever set the policy"


class MessageUndelivered(MessagingError):
    """A message came back, or was not acknowledged in time."""

    _hint = "send it again once the recipient is signed in"


class DirectoryError(SoftphoneError):
    """A directory could not be searched."""

    _hint = "check the directory's address and the connection to it"


class DirectoryRefused(DirectoryError):
    """The directory does not accept our user, or does not let this user search."""

    _hint = "check user name, password and the search base of the directory"


class DiscoveryError(SoftphoneError):
    """A user's services could not be found, or a document of theirs could not be read."""

    _hint = "check the domain and its SRV records; each step says what it has found and why"


class DiscoveryRefused(DiscoveryError):
    """A server does not know the user, or does not accept the password."""

    _hint = "check the user's name, which may differ from the mail address, and the password"


class CredentialsWithheld(DiscoveryError):
    """Nothing ties a server to the user's domain: it was sent no credentials."""

    _hint = (
        "check who runs that server: its name has to be in the user's domain, or its certificate to"
        " name the domain; in a terminal you are asked once"
    )


class EdgeError(SoftphoneError):
    """An edge server (Expressway) could not be used: its answer, its ticket, or what it names."""

    _hint = "check the edge's state, and that the domain is enabled there for mobile access"


class EdgeRefused(EdgeError):
    """The edge does not accept user and password, or reaches no server of that name."""

    _hint = (
        "check user and password, that the edge can reach CUCM, and that the server is in the "
        "user's domain, or listed"
    )


class VoicemailError(SoftphoneError):
    """A voice mailbox could not be read, or changed."""

    _hint = "list the messages again; check the voicemail server's address and its state"


class VoicemailRefused(VoicemailError):
    """The voicemail server does not accept our user, or does not let this user do that."""

    _hint = (
        "check user and web password, and what the class of service and the API settings of the "
        "server allow"
    )


class SecureMessageRefused(VoicemailError):
    """A secure or private message is not stored or passed on; nothing was written or sent."""

    _hint = "play the message here: what is secure or private stays with its recipient"


class TransferError(SoftphoneError):
    """A file transfer failed."""

    _hint = "send the file again; check the server's limit on size and the free space here"


class TransferRefused(TransferError):
    """Policy forbids the file; nothing of it was sent, or nothing of it was kept."""

    _hint = "the file is not allowed by policy: ask whoever set the policy"


class AuditError(SoftphoneError):
    """The audit table cannot be written, or its content was changed."""

    _hint = "messages wait until the audit table can be written: check its database"


class TrustRefused(SoftphoneError):
    """A trust list, or a file that must be signed, is not trusted; nothing of it was used."""

    _hint = (
        "fetch the trust list again from the right server; if it is refused again, ask "
        "the administrator"
    )


class FipsUnavailable(SoftphoneError):
    """The process is not in the FIPS mode that was decided on; nothing was started."""

    _hint = "start the process in the mode that the message names"


class FipsForbidden(SoftphoneError):
    """FIPS mode forbids what was requested."""

    _hint = "choose what FIPS mode approves, or leave FIPS mode off"


class RegistrationError(SoftphoneError):
    """A registration failed.

    `status` is the SIP status, or 0; `retry_after` is the registrar's Retry-After in seconds, 0 if
    it gave none.
    """

    _hint = "check the account step by step: server, certificate, credentials"

    def __init__(
        self, message: str, *, status: int = 0, reason: str = "", retry_after: float = 0.0
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.retry_after = retry_after


class RegistrationRefused(RegistrationError):
    """The registrar refused permanently."""

    _hint = "the server knows us and says no: ask its administrator why"


class AuthenticationFailed(RegistrationError):
    """The registrar did not accept our credentials, or asked for what policy forbids."""

    _hint = "check user name, password and credentials.algorithms"


class RegistrationTimeout(RegistrationError):
    """The registrar did not answer."""

    _hint = (
        "nothing there answers SIP: check address, port and transport (over UDP a closed port is "
        "silent, too), and the firewalls on the way"
    )


class CallError(SoftphoneError):
    """A call was not established.  `status` is the SIP status (RFC 3261 section 21), or 0."""

    _hint = "look at the status and the reason that the far end gave"

    def __init__(self, message: str, *, status: int = 0, reason: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class Busy(CallError):
    """The far end is busy (486, 600)."""

    _hint = "call again later"


class Declined(CallError):
    """The far end, or its server, does not want the call (603, 403)."""

    _hint = "the far end or its server does not want this call: ask them, or their administrator"


class NotFound(CallError):
    """There is no such user (404, 410, 484, 604)."""

    _hint = "check the number or address that was called"


class NoAnswer(CallError):
    """Nobody answered (408, 480, or our own time-out)."""

    _hint = "call again later, or let it ring longer"


class NotAcceptable(CallError):
    """The session description was not acceptable (488, 606, 415)."""

    _hint = "compare codecs and SRTP of both ends: see media.codecs, media.srtp and media.suites"


class Canceled(CallError):
    """The call was canceled before it was answered (487)."""

    _hint = "nothing: the call was given up before it was answered"


class Redirected(CallError):
    """The far end redirects the call (3xx) to `contacts`."""

    _hint = "call one of the contacts"

    def __init__(
        self, message: str, *, status: int = 0, reason: str = "", contacts: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message, status=status, reason=reason)
        self.contacts = contacts


class DialRefused(CallError):
    """The account's dial policy forbids the call; nothing of it was sent.

    `rule` is the key of `[dial_policy]` that forbids it, or "number" for a target that is no
    number; the text shows the number without its middle.  `status` is the response to a far end
    that asked for the call.
    """

    _hint = "the account may not call this: see [dial_policy] in the account file"

    def __init__(
        self, message: str, *, rule: str = "", status: int = 403, reason: str = "Forbidden"
    ) -> None:
        super().__init__(message, status=status, reason=reason)
        self.rule = rule


class CallFailed(CallError):
    """The call failed for another reason."""

    _hint = "look at the status and the reason, and at the exchange in the log of softphone.sip"


class NoConnection(CallFailed):
    """The connection was lost before any response, or could not be made: no server refused."""

    _hint = "check address and port, and whether the server runs"


class MediaError(SoftphoneError):
    """A file, device, port or worker process of the media could not be used."""

    _hint = "check the file, device or port that the message names"


class NoPortFree(MediaError):
    """Every port pair of `media.ports`, or every stream of the engine, is in use."""

    _hint = "end calls, or set a wider range in media.ports"


def copy_error(error: E) -> E:
    """A copy of an error, to be raised again.

    A raised exception holds the frames that it passed through.  To keep an error for later
    callers, raise a copy of it, so that the kept one does not hold those frames.
    """
    fresh = type(error).__new__(type(error), *error.args)
    vars(fresh).update(vars(error))
    fresh.__cause__ = error.__cause__
    return fresh
