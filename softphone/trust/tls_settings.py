"""TLS settings; the only module that makes an `ssl.SSLContext`, and that translates its errors.

TLS 1.2 or newer, CERT_REQUIRED, partial chains, no post-handshake authentication.  No session is
resumed, unless settings say so, and then in TLS 1.3 only; a listener then gives tickets in TLS 1.2
too, which OpenSSL cannot tell apart, and refuses who comes back with one and has to show a
certificate.  Names are checked by
`softphone.trust.verification.gate`, which every connection passes.

X509_STRICT is set where every anchor is the system's.  OpenSSL has one flag for a whole context,
so with anchors of our own in the store the gate applies the strict rules by anchor.
"""

from __future__ import annotations

import _ssl
import ctypes
import logging
import os
import ssl
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from softphone.errors import (
    CertificateError,
    CertificateExpired,
    CertificateRevoked,
    CertificateUnknown,
    CertificateUntrusted,
    ConfigurationError,
)
from softphone.openssl_provider import fips_in_force
from softphone.operating_system import read_file
from softphone.security import (
    ClientCertificates,
    KeyMaterial,
    Relaxation,
    RevocationMode,
    TlsVersion,
)
from softphone.trust.certificate import Service, der_of, load_certificate_file
from softphone.trust.disk import readable_by_others
from softphone.trust.key_log import prepare_key_log
from softphone.trust.lists import TrustLists
from softphone.trust.resuming_context import ResumingContext
from softphone.trust.store import TrustStore
from softphone.trust.verification import AskTvs, AskUser, role_of

logger = logging.getLogger("softphone.trust")

_VERSIONS = {TlsVersion.TLS_1_2: ssl.TLSVersion.TLSv1_2, TlsVersion.TLS_1_3: ssl.TLSVersion.TLSv1_3}
# AEAD with forward secrecy first; the CBC suites are for CUCM 11 and older Asterisk.
# SECLEVEL 2 refuses RSA below 2,048 bits and SHA-1 signatures.
_NEVER = "!aNULL:!eNULL:!aDSS:!AESCCM"
_CIPHERS = f"ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:ECDHE+AES:RSA+AESGCM:RSA+AES:{_NEVER}"
_FIPS_CIPHERS = f"ECDHE+AESGCM:DHE+AESGCM:ECDHE+AES:{_NEVER}"
_AES_256_CIPHERS = f"ECDHE+AES256+AESGCM:DHE+AES256+AESGCM:{_NEVER}"

# X509_V_ERR_* of OpenSSL's x509_vfy.h.
_DATE_CODES = frozenset({9, 10})
_REVOKED_CODE = 23
_PURPOSE_CODE = 26
_WRONG_PURPOSE = (
    "its extended key usage is for the other end of TLS: a server shows one with serverAuth, a"
    " client one with clientAuth, which public authorities no longer issue"
)
# X509_PURPOSE_ANY of OpenSSL's x509v3.h.
_PURPOSE_ANY = 7
# X509_V_FLAG_NO_CHECK_TIME, which the ssl module has no name for.
_NO_CHECK_TIME = 0x200000
# No trusted issuer was found: UNABLE_TO_GET_ISSUER_CERT and related codes, CERT_UNTRUSTED.
_UNKNOWN_CODES = frozenset({2, 18, 19, 20, 21, 27})


@dataclass(frozen=True, slots=True)
class TlsCredential:
    """Paths of our own certificate (PEM, followed by its chain) and private key.

    `place` is the setting that names them, for error messages.
    """

    certificate: str | os.PathLike[str]
    key: str | os.PathLike[str]
    password: KeyMaterial | None = None
    place: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """The trust and the credential of one account or one listener.

    `pin` ("sha256:HEX") names the one certificate that the peer must have; it replaces the name
    check.  `client_certificates` is for listeners only.  `unknown` asks the user about a
    certificate that no anchor of the store vouches for; a yes is stored there as a pin.  Without
    `unknown`, and in FIPS mode, such a certificate is refused.

    `lists` are the trust lists of a cluster: they name the certificates of the service's servers.
    `tvs` is asked about a certificate that they do not name.  Both come before `unknown`.  With
    `listed_may_expire`, and never in FIPS mode, a listed certificate is accepted after it has
    expired, as phones do; the verdict says so.

    `aes_256` limits TLS 1.2 to suites with AES 256.  Python cannot choose the suites of TLS 1.3,
    so the user of the connection must check the negotiated one.  `maximum` is the newest version
    to negotiate, and `protocols` are offered by ALPN (RFC 7301).

    `server_domains` are for listeners: the domains, in lower case, whose certificates a client may
    show though they are for servers only.  The gate judges that; never in FIPS mode.

    `edge_domain` is the domain that an edge server's certificate has to name beside its host.
    Nobody is asked about such a certificate, and neither pins nor trust lists count.

    `aia_hosts` are the hosts ("host" for port 80, or "host:port") at which issuers that a server
    has not shown are looked for; none by default.

    With `resume_sessions` a client offers sessions of TLS 1.3 whose full handshake the gate has
    accepted, and a listener gives tickets; the certificates are judged again.

    `key_log` is the file to which the secrets of connections are appended, for Wireshark; see
    `softphone.trust.key_log`.
    """

    store: TrustStore = field(default_factory=TrustStore)
    credential: TlsCredential | None = None
    pin: str | None = None
    minimum: TlsVersion = TlsVersion.TLS_1_2
    service: Service = Service.SIP
    revocation: RevocationMode = RevocationMode.SOFT
    client_certificates: ClientCertificates = ClientCertificates.REQUIRED
    fips: bool = field(default_factory=fips_in_force)
    allow: frozenset[Relaxation] = frozenset()
    unknown: AskUser | None = None
    lists: TrustLists = field(default_factory=TrustLists)
    tvs: AskTvs | None = None
    listed_may_expire: bool = True
    aes_256: bool = False
    maximum: TlsVersion | None = None
    protocols: tuple[str, ...] = ()
    server_domains: frozenset[str] = frozenset()
    edge_domain: str | None = None
    aia_hosts: frozenset[str] = frozenset()
    key_log: Path | None = None
    resume_sessions: bool = False

    @property
    def client_server_domains(self) -> frozenset[str]:
        """The `server_domains` in effect: none in FIPS mode."""
        return frozenset() if self.fips else self.server_domains

    @property
    def allowed(self) -> frozenset[Relaxation]:
        """The relaxations in effect: `allow`; in FIPS mode LOCAL_REVOCATION at most."""
        return self.allow & {Relaxation.LOCAL_REVOCATION} if self.fips else self.allow

    @property
    def listed(self) -> tuple[bytes, ...]:
        """The certificates (DER) that the trust lists name for this service."""
        role = role_of(self.service)
        return () if role is None else self.lists.certificates(role)


def client_context(
    settings: TlsSettings, *, pins: Sequence[bytes] = (), issuers: Sequence[bytes] = ()
) -> ssl.SSLContext:
    """Make a context for outgoing connections; `pins` (DER) are anchors beside the store's.

    `issuers` (DER, none of them self-issued) may link a path, and end none: with them every path
    has to end in a self-signed anchor.

    Raises ConfigurationError when our own credential cannot be used.
    """
    made = ResumingContext if settings.resume_sessions else ssl.SSLContext
    context = made(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    _harden(context, settings)
    _load_anchors(context, settings, pins)
    if issuers:
        # Python hands OpenSSL no certificates but trusted ones.  Without this flag one that is not
        # self-signed ends no path (X509_V_FLAG_PARTIAL_CHAIN).
        context.verify_flags &= ~ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
        _load_authorities(context, b"".join(issuers))
    if settings.credential is not None:
        _load_credential(context, settings.credential)
    return context


def probe_context(settings: TlsSettings) -> ssl.SSLContext:
    """Make a context that only fetches an unknown server's certificate.

    It verifies nothing and holds no certificate of ours.  Close a connection made with it without
    sending application data.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    _harden(context, settings)
    return context


def server_context(settings: TlsSettings) -> ssl.SSLContext:
    """Make a context for incoming connections.

    Raises ConfigurationError when there is no credential, when it cannot be used, or when client
    certificates are asked for and there is no anchor to verify them.
    """
    if settings.credential is None:
        raise ConfigurationError("a TLS listener needs a certificate and a key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _harden(context, settings)
    if settings.resume_sessions:
        # OpenSSL gives two by default; a client of ours keeps the last alone.
        context.num_tickets = 1
        context.options &= ~ssl.OP_NO_TICKET
    else:
        context.num_tickets = 0
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    demand = settings.client_certificates
    if demand is not ClientCertificates.NONE:
        if not (settings.store.anchors or settings.store.system or settings.listed):
            raise ConfigurationError(
                "client certificates are asked for, but there is no authority to verify them with"
            )
        required = demand is ClientCertificates.REQUIRED
        context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
        _load_anchors(context, settings, ())
        if settings.client_server_domains:
            _leave_purpose_to_gate(context)
    _load_credential(context, settings.credential)
    return context


def _leave_purpose_to_gate(context: ssl.SSLContext) -> None:
    """Let a client's certificate for servers through the handshake: the gate judges its purpose.

    The ssl module has no name for SSL_CTX_set_purpose.  Everything else OpenSSL checks as before,
    that authorities are authorities included.  Raises ConfigurationError where the function or the
    context cannot be reached.
    """
    try:
        library = ctypes.CDLL(getattr(_ssl, "__file__", None))
        set_purpose = library.SSL_CTX_set_purpose
    except (OSError, AttributeError):
        set_purpose = None
    if set_purpose is None or sys.implementation.name != "cpython":
        raise ConfigurationError(
            "accept_server_certificates_as_clients: this Python does not let OpenSSL take a"
            " certificate for servers of a client; leave it out"
        )
    set_purpose.argtypes = [ctypes.c_void_p, ctypes.c_int]
    # PySSLContext is PyObject_HEAD and then the SSL_CTX, from Python 3.6 to 3.14.
    pointer = ctypes.c_void_p.from_address(id(context) + object.__basicsize__)
    if set_purpose(pointer, _PURPOSE_ANY) != 1:
        raise ConfigurationError("accept_server_certificates_as_clients: OpenSSL refuses it")


def _harden(context: ssl.SSLContext, settings: TlsSettings) -> None:
    context.minimum_version = _VERSIONS[settings.minimum]
    if settings.maximum is not None:
        context.maximum_version = _VERSIONS[settings.maximum]
    if settings.protocols:
        context.set_alpn_protocols(settings.protocols)
    context.set_ciphers(f"@SECLEVEL={_level(settings)}:{_ciphers(settings)}")
    # A resumed session has no verified chain: no tickets on either side.  A client of TLS 1.3 gets
    # them all the same, so that this leaves out those of TLS 1.2 where it may resume.
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.post_handshake_auth = False
    if settings.key_log is not None:
        prepare_key_log(settings.key_log)
    # Also None: an OpenSSL that is built to obey SSLKEYLOGFILE has set itself up for it.
    context.keylog_filename = settings.key_log  # type: ignore[assignment]  # None is no str


def _level(settings: TlsSettings) -> int:
    """OpenSSL's security level: level 1 admits RSA of 1,024 bits, SHA-1 needs level 0.

    The gate checks each key and signature itself, and refuses what else these levels admit.
    """
    if Relaxation.SHA1 in settings.allowed:
        return 0
    return 1 if Relaxation.RSA_1024 in settings.allowed else 2


def _ciphers(settings: TlsSettings) -> str:
    if settings.aes_256:
        return _AES_256_CIPHERS
    if settings.fips:
        return _FIPS_CIPHERS
    # Below level 2 the size of a Diffie-Hellman group is not checked.
    return _CIPHERS if _level(settings) == 2 else f"{_CIPHERS}:!DHE"


def _load_authorities(context: ssl.SSLContext, certificates: bytes) -> None:
    try:
        context.load_verify_locations(cadata=certificates)
    except ssl.SSLError:
        # Python reads OpenSSL's error queue here, and may find an error of an earlier connection
        # (an alert, say).  Raising has cleared the queue; a real error raises again.
        context.load_verify_locations(cadata=certificates)


def _load_anchors(context: ssl.SSLContext, settings: TlsSettings, pins: Sequence[bytes]) -> None:
    store = settings.store
    own = b"".join([*(der_of(each) for each in store.anchors), *pins, *settings.listed])
    flags = context.verify_flags | ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    if own:
        # Python 3.13 sets the strict flag by default; see the module's docstring.
        flags &= ~ssl.VerifyFlags.VERIFY_X509_STRICT
        _load_authorities(context, own)
    else:
        flags |= ssl.VerifyFlags.VERIFY_X509_STRICT
    if settings.listed:
        # A listed certificate may have expired: the gate checks every date itself.
        flags |= _NO_CHECK_TIME
    context.verify_flags = flags
    if store.system:
        context.load_default_certs(
            ssl.Purpose.SERVER_AUTH
            if context.protocol is ssl.PROTOCOL_TLS_CLIENT
            else ssl.Purpose.CLIENT_AUTH
        )


def system_anchors() -> list[bytes]:
    """Return the certificates (DER) of the system's trust store.

    Raises ConfigurationError when it cannot be listed.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_default_certs()
    found = context.get_ca_certs(binary_form=True)
    if not found:
        # OpenSSL looks into a folder only for an issuer that it needs: it lists none.
        raise ConfigurationError(
            "the system's trust store cannot be listed: name its file of certificates"
        )
    return found


def check_credential(credential: TlsCredential, *, wall: datetime | None = None) -> None:
    """Raise ConfigurationError unless key and certificate are readable, match and are in date.

    Logs a warning when others can read the key file.
    """
    try:
        _check_pair(credential, wall)
    except ConfigurationError as error:
        if not credential.place:
            raise
        raise ConfigurationError(f"{credential.place}: {error}") from error.__cause__


def _check_pair(credential: TlsCredential, wall: datetime | None) -> None:
    leaf = load_certificate_file(credential.certificate)[0]
    password = credential.password.reveal() if credential.password is not None else None
    try:
        key = load_pem_private_key(read_file(credential.key), password)
    except OSError as exc:
        raise ConfigurationError(f"{credential.key} cannot be read: {exc.strerror}") from exc
    except TypeError as exc:
        hint = "is encrypted and needs a password" if password is None else "needs no password"
        raise ConfigurationError(f"the key {credential.key} {hint}") from exc
    except ValueError as exc:
        hint = "is no PEM private key" if password is None else "does not open with this password"
        raise ConfigurationError(f"the key {credential.key} {hint}") from exc
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*form) != leaf.public_key().public_bytes(*form):
        raise ConfigurationError(
            f"the key {credential.key} does not match the certificate {credential.certificate}"
        )
    now = datetime.now(leaf.not_valid_after_utc.tzinfo) if wall is None else wall
    if now > leaf.not_valid_after_utc:
        raise ConfigurationError(
            f"our certificate {credential.certificate} expired on {leaf.not_valid_after_utc:%F %R}"
        ) from CertificateExpired("ours")
    if now < leaf.not_valid_before_utc:
        raise ConfigurationError(
            f"our certificate {credential.certificate} is not valid before"
            f" {leaf.not_valid_before_utc:%F %R}"
        ) from CertificateExpired("ours")
    warning = readable_by_others(Path(credential.key))
    if warning is not None:
        logger.warning("%s", warning, extra={"once": True})


def _load_credential(context: ssl.SSLContext, credential: TlsCredential) -> None:
    check_credential(credential)
    password = credential.password
    try:
        context.load_cert_chain(
            credential.certificate,
            credential.key,
            # A callable keeps OpenSSL from asking the terminal.
            password=(lambda: password.reveal() if password is not None else b""),
        )
    except (ssl.SSLError, OSError) as exc:
        raise ConfigurationError(
            f"the certificate {credential.certificate} cannot be used: {exc}"
        ) from exc


def verification_error(exc: ssl.SSLCertVerificationError, peer: str) -> CertificateError:
    """Translate OpenSSL's verification error about the certificate of `peer`.

    Returns CertificateExpired, CertificateRevoked, CertificateUnknown or CertificateUntrusted.
    """
    sentence = f"the certificate of {peer} was not accepted: {exc.verify_message}"
    if exc.verify_code in _DATE_CODES:
        return CertificateExpired(sentence)
    if exc.verify_code == _PURPOSE_CODE:
        return CertificateUntrusted(f"{sentence}: {_WRONG_PURPOSE}")
    if exc.verify_code == _REVOKED_CODE:
        return CertificateRevoked(sentence)
    if exc.verify_code in _UNKNOWN_CODES:
        return CertificateUnknown(sentence)
    return CertificateUntrusted(sentence)
