"""The request, state and events of one CAPF session, for `softphone.trust.capf.client`."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from cryptography import x509

from softphone.errors import ConfigurationError
from softphone.security import KeyMaterial
from softphone.trust.capf.errors import CapfError
from softphone.trust.csr import KeyKind
from softphone.trust.keystore.identity import Identity

__all__ = [
    "OLDEST_VERSION",
    "VERSION",
    "CapfEvent",
    "CapfFailed",
    "CapfFinished",
    "CapfOperation",
    "CapfRequest",
    "CapfState",
    "CapfTimes",
    "CertificateIssued",
    "CertificateShown",
    "DeletionWanted",
    "KeyWanted",
]

VERSION, OLDEST_VERSION = 3, 2


class CapfOperation(Enum):
    """The operation of a session."""

    NONE = "none"
    INSTALL = "install"
    FETCH = "fetch"
    DELETE = "delete"


class CapfState(Enum):
    """The state of a client's session."""

    WAIT_FLOW = "wait_flow"
    WAIT_AUTH = "wait_auth"
    WAIT_OPERATION = "wait_operation"
    MAKING_KEY = "making_key"
    WAIT_STORE = "wait_store"
    STORING = "storing"
    DELETING = "deleting"
    WAIT_END = "wait_end"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class CapfTimes:
    """How long the server may be silent, and how long the whole session may take, in seconds."""

    patience: float = 30.0
    session: float = 300.0


@dataclass(frozen=True, slots=True)
class CapfRequest:
    """The device that enrolls, and its credentials.

    `string` is the authentication string, None for the null string; `identity` is the LSC or MIC
    to authenticate with; `sudi` is a MIC that binds the session when the identity's key is not
    RSA.  `current` is the LSC (DER) that a fetch returns.  Jabber speaks `version` 2.  `issuers`
    are the expected issuers; another issuer is a warning, or with `strict` an error.
    """

    device: str
    string: KeyMaterial | None = None
    identity: Identity | None = None
    sudi: Identity | None = None
    current: bytes | None = None
    version: int = VERSION
    issuers: tuple[x509.Certificate, ...] = ()
    strict: bool = False
    times: CapfTimes = field(default_factory=CapfTimes)

    def __post_init__(self) -> None:
        """Raise ConfigurationError for an invalid device name, version or string."""
        name = self.device
        if not 1 <= len(name) <= 64 or not name.isascii() or not name.isprintable() or " " in name:
            raise ConfigurationError(f"{name!r} is no device name, such as CSFALICE")
        if not OLDEST_VERSION <= self.version <= VERSION:
            raise ConfigurationError(f"CAPF version {self.version}: 2 and 3 are spoken")
        if self.string is not None and not (len(self.string) and _visible(self.string.reveal())):
            raise ConfigurationError(
                "the authentication string must be 1 to 15 visible characters (CUCM's is 4 to 10"
                " digits)"
            )


def _visible(string: bytes) -> bool:
    return 1 <= len(string) <= 15 and all(0x21 <= byte <= 0x7E for byte in string)


@dataclass(frozen=True, slots=True)
class KeyWanted:
    """Make a key of this kind, then call `key_made` or `key_failed`; that may take seconds."""

    kind: KeyKind


@dataclass(frozen=True, slots=True)
class CertificateIssued:
    """Store this checked certificate (DER) with its key; then call `stored` or `not_stored`."""

    certificate: bytes
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CertificateShown:
    """The server asked for our certificate; `found` tells whether there was one to show."""

    found: bool


@dataclass(frozen=True, slots=True)
class DeletionWanted:
    """Delete the LSC with its key, then call `deleted`."""


@dataclass(frozen=True, slots=True)
class CapfFinished:
    """The session has ended successfully; NONE when the server had nothing pending."""

    operation: CapfOperation


@dataclass(frozen=True, slots=True)
class CapfFailed:
    """The session has failed; raise `error`, which says why."""

    error: CapfError


CapfEvent: TypeAlias = (
    KeyWanted | CertificateIssued | CertificateShown | DeletionWanted | CapfFinished | CapfFailed
)
