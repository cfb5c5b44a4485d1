"""The configuration of a messaging account; `softphone.config.messaging_file` reads it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from enum import StrEnum

from softphone.errors import ConfigurationError
from softphone.messaging.compliance import ComplianceConfig
from softphone.messaging.encryption_policy import EncryptionPolicy
from softphone.messaging.server_location import TlsMode, XmppServer, configured_server
from softphone.security import KeyMaterial
from softphone.trust import Service, TlsSettings

__all__ = ["HistoryConfig", "MessagingConfig", "SubscriptionApproval"]

_BARE = re.compile(r"[^\s@/\"&'<>:]+@[^\s@/]+")
_PART = re.compile(r"[^\s/@]{1,255}")


class SubscriptionApproval(StrEnum):
    """Whose wish to see our presence is granted without asking."""

    NOBODY = "nobody"
    DOMAIN = "domain"
    EVERYBODY = "everybody"


@dataclass(frozen=True, slots=True)
class HistoryConfig:
    """What is kept of messages.

    History in memory lasts until sign-out; with `disable_history` only until the conversation
    is closed.  `archive` is an SQLAlchemy address, "sqlite+aiosqlite:///…" or any other; it holds
    messages in clear, unless `archive_key` names a file of 32 bytes.  `limit` bounds the memory.
    """

    disable_history: bool = False
    archive: str | None = None
    archive_key: str | os.PathLike[str] | None = None
    archive_client_to_client: bool = False
    limit: int = 10_000

    def __post_init__(self) -> None:
        if self.archive_key is not None and self.archive is None:
            raise ConfigurationError("im.archive_key: there is no archive to encrypt")
        if self.archive_client_to_client and self.archive is None:
            raise ConfigurationError("im.archive_client_to_client: there is no archive")


@dataclass(frozen=True, slots=True)
class MessagingConfig:
    """One user of one chat server.

    `tls` says whom to believe and who we are; its credential signs us in (EXTERNAL) where the
    server takes it, and is what client-to-client encryption needs.  `server` is tried in place
    of what DNS says, in the given `mode`.  `resource` names this client, else it is drawn.
    `compliance` switches policies, audit and third-party archive on.
    """

    jid: str
    password: KeyMaterial | None = None
    server: str | None = None
    mode: TlsMode = TlsMode.DIRECT
    tls: TlsSettings = field(default_factory=TlsSettings)
    encryption: EncryptionPolicy | None = None
    history: HistoryConfig = field(default_factory=HistoryConfig)
    approve: SubscriptionApproval = SubscriptionApproval.DOMAIN
    resource: str | None = None
    compliance: ComplianceConfig | None = None
    timeout: float = 30.0

    def __post_init__(self) -> None:
        if _BARE.fullmatch(self.jid) is None:
            raise ConfigurationError(f"im.jid: {self.jid!r} is not of the form user@domain")
        if self.password is None and self.tls.credential is None:
            raise ConfigurationError("im.password: give a password or a client certificate")
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

    @property
    def domain(self) -> str:
        """The domain of the JID, which the server has to prove."""
        return self.jid.partition("@")[2]

    @property
    def policy(self) -> EncryptionPolicy:
        """What is configured; else encryption wherever both have it, if we have a certificate."""
        return self.encryption or EncryptionPolicy(self.tls.credential is not None, True)

    @property
    def named_server(self) -> XmppServer | None:
        """The server that is named; None leaves it to DNS."""
        if self.server is None:
            return None
        return configured_server(self.server, self.domain, self.mode)
