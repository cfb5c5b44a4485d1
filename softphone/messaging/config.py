"""The configuration of a messaging account; `softphone.config.messaging_file` reads it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from enum import StrEnum

from softphone.errors import ConfigurationError
from softphone.messaging.compliance import ComplianceConfig
from softphone.messaging.encryption_policy import EncryptionPolicy
from softphone.messaging.im_presence.config import ImPresenceConfig, XmppEdge
from softphone.messaging.message import EncryptionScope
from softphone.messaging.server_location import TlsMode, XmppServer, configured_server
from softphone.security import KeyMaterial
from softphone.sip.auth import FetchBearer
from softphone.trust import Service, TlsSettings

_BARE = re.compile(r"[^\s@/\"&'<>:]+@[^\s@/]+")
_PART = re.compile(r"[^\s/@]{1,255}")


class SubscriptionApproval(StrEnum):
    """Whose presence subscription requests are granted automatically."""

    NOBODY = "nobody"
    DOMAIN = "domain"
    EVERYBODY = "everybody"


@dataclass(frozen=True, slots=True)
class HistoryConfig:
    """How messages are kept; history in memory lasts until sign-out."""

    disable_history: bool = False
    """Whether a conversation is forgotten when it is closed (Disable_IM_History)."""
    archive: str | None = None
    """The local archive: a file, or an SQLAlchemy address with an async driver.  It holds messages
    in clear, unless there is an `archive_key`."""
    archive_key: str | os.PathLike[str] | None = None
    """A file with the 32-byte key that encrypts texts (AES-256-GCM); created if it is missing."""
    archive_client_to_client: bool = False
    """Whether messages encrypted client to client are archived, too."""
    limit: int = 10_000
    """The maximum number of messages in the history in memory."""

    def __post_init__(self) -> None:
        if self.archive_key is not None and self.archive is None:
            raise ConfigurationError("im.archive_key: there is no archive to encrypt")
        if self.archive_client_to_client and self.archive is None:
            raise ConfigurationError("im.archive_client_to_client: there is no archive")


@dataclass(frozen=True, slots=True)
class MessagingConfig:
    """One user of one chat server."""

    jid: str
    """The user's own address, `user@domain`."""
    password: KeyMaterial | None = None
    """The password; without one the client certificate signs us in (SASL EXTERNAL)."""
    server: str | None = None
    """The server, "host" or "host:port"; by default DNS names it (RFC 6120, XEP-0368)."""
    mode: TlsMode = TlsMode.DIRECT
    """How the configured `server` begins TLS: from the first byte, or by STARTTLS."""
    tls: TlsSettings = field(default_factory=TlsSettings)
    """The trust anchors and our certificate; client-to-client encryption needs the certificate."""
    encryption: EncryptionPolicy | None = None
    """The encryption policy; by default messages are encrypted client to client whenever both
    clients support it, if we have a certificate."""
    history: HistoryConfig = field(default_factory=HistoryConfig)
    """How messages are kept, in memory and in the archive."""
    approve: SubscriptionApproval = SubscriptionApproval.DOMAIN
    """Whose presence subscription requests are granted automatically."""
    resource: str | None = None
    """The resource of our JID, which names this client; by default a random one per sign-in."""
    compliance: ComplianceConfig | None = None
    """Policies, audit table and third-party archive; by default none."""
    timeout: float = 30.0
    """Seconds to sign in, and for a message to be acknowledged; at most 600 in a file."""
    im_presence: ImPresenceConfig | None = None
    """The nodes of Cisco's IM and Presence, where a one-time password signs us in
    (CISCO-VTG-TOKEN); by default the server is any other."""
    token: FetchBearer | None = field(default=None, repr=False)
    """Supplies the bearer token of OAUTHBEARER for each sign-in, and another when the server
    refuses it; in a file, `[im.oauth]` or `[oauth]` does."""
    allow_plain: bool = False
    """Whether the password itself is sent to the verified server (SASL PLAIN) if that offers
    nothing better."""
    allow_aes_128: bool = False
    """Whether the connection to the server may use AES 128 or ChaCha20 instead of AES 256, as the
    specification allows for the cloud.  Between clients it is always AES 256."""

    def __post_init__(self) -> None:
        if _BARE.fullmatch(self.jid) is None:
            raise ConfigurationError(f"im.jid: {self.jid!r} is not of the form user@domain")
        if self.password is None and self.tls.credential is None and self.token is None:
            raise ConfigurationError("im.password: give a password or a client certificate")
        if self.im_presence is not None:
            self._check_im_presence()
        if self.resource is not None and _PART.fullmatch(self.resource) is None:
            raise ConfigurationError(f"im.resource: {self.resource!r} is no name of a client")
        if self.tls.service is not Service.XMPP:
            raise ConfigurationError("im.tls: the settings are those of another service")
        if self.policy.negotiates and self.tls.credential is None:
            raise ConfigurationError(
                "im.support_aes: client-to-client encryption needs a certificate of ours, with the"
                " JID in it: give tls.certificate and tls.key"
            )
        if self.server is not None:
            configured_server(self.server, self.domain, self.mode)

    def _check_im_presence(self) -> None:
        if self.server is not None:
            raise ConfigurationError("im.server: the servers are those of im_presence")
        if self.password is None and self.token is None:
            raise ConfigurationError("im.password: IM and Presence needs the user's password")
        if self.allow_plain:
            raise ConfigurationError(
                "im.allow_plain: with im_presence a one-time password takes the password's place,"
                " and a server that hides this gets nothing"
            )

    @property
    def domain(self) -> str:
        """The domain of the JID, which the server's certificate must contain."""
        return self.jid.partition("@")[2]

    @property
    def edge(self) -> XmppEdge | None:
        """The edge servers between us and the chat server; None without."""
        return None if self.im_presence is None else self.im_presence.edge

    @property
    def server_scope(self) -> EncryptionScope:
        """How far the encryption of what goes to the chat server is known to reach."""
        if self.edge is None:
            return EncryptionScope.CLIENT_TO_SERVER
        return EncryptionScope.CLIENT_TO_EDGE

    @property
    def policy(self) -> EncryptionPolicy:
        """The configured encryption policy, or the default of `encryption`."""
        return self.encryption or EncryptionPolicy(self.tls.credential is not None, True)

    @property
    def named_server(self) -> XmppServer | None:
        """The configured server; None if DNS names it."""
        if self.server is None:
            return None
        return configured_server(self.server, self.domain, self.mode)
