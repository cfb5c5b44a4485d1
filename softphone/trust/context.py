"""The only maker of an `ssl.SSLContext`, for both sides.

TLS 1.2 or newer, CERT_REQUIRED, partial chains, no session tickets, no post-handshake
authentication.  Names are not checked here but by `trust.gate`, which every connection passes.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from softphone.security import KeyMaterial, RevocationMode, TlsVersion
from softphone.trust.certificate import Service
from softphone.trust.store import TrustStore

__all__ = ["ClientCertificates", "Credential", "TlsSettings", "client_context", "server_context"]


@dataclass(frozen=True, slots=True)
class Credential:
    """Our own certificate (PEM, its chain after it) and private key."""

    certificate: Path
    key: Path
    password: KeyMaterial | None = None


class ClientCertificates(Enum):
    """What a server demands of its clients."""

    NONE = "none"
    OPTIONAL = "optional"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """Whom one account, or one listener, believes and who it is itself.

    `pin` ("sha256:HEX") names the one certificate that the peer must have; it takes the place of
    the name check.  `client_certificates` is for listeners only.
    """

    store: TrustStore = field(default_factory=TrustStore)
    credential: Credential | None = None
    pin: str | None = None
    minimum: TlsVersion = TlsVersion.TLS_1_2
    service: Service = Service.SIP
    revocation: RevocationMode = RevocationMode.SOFT
    client_certificates: ClientCertificates = ClientCertificates.REQUIRED
    fips: bool = False


def client_context(settings: TlsSettings, *, pins: Sequence[bytes] = ()) -> ssl.SSLContext:
    """A context for connections that we make.  Raises ConfigurationError."""
    raise NotImplementedError


def server_context(settings: TlsSettings) -> ssl.SSLContext:
    """A context for connections that we accept.  Raises ConfigurationError."""
    raise NotImplementedError
