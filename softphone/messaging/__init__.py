"""Instant messaging: XMPP, encryption between clients, files, history and compliance.

`MessagingClient` signs one user in to a chat server.  SIP MESSAGE is in `softphone.account` and
`softphone.sip`, connections and TLS are in `softphone.net`, certificate verification in
`softphone.trust`, directories in `softphone.contacts`, account files in `softphone.config`.

RFC 6120, RFC 6121 and RFC 2782 with XEP-0368 (server location); the subpackages name the other
standards, such as XEP-0045, XEP-0198 and XEP-0363.  Names are loaded on first use, since some need
slixmpp (the extra `im`); without it ConfigurationError says what to install.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from softphone.errors import ConfigurationError
from softphone.extras import install_command

if TYPE_CHECKING:
    from softphone.messaging.client import MessagingClient, MessagingEnvironment
    from softphone.messaging.compliance import (
        ALLOW,
        Allow,
        ComplianceConfig,
        CompliancePolicy,
        ContentKind,
        Decision,
        Deny,
        MessageHook,
        PendingMessage,
        Redact,
    )
    from softphone.messaging.config import (
        HistoryConfig,
        MessagingConfig,
        SubscriptionApproval,
    )
    from softphone.messaging.delivery.sender import SentMessage
    from softphone.messaging.encryption_policy import MATRIX, EncryptionPolicy, PolicyRow, SendMode
    from softphone.messaging.im_presence import CertificateName, ImPresenceConfig, PresenceNode
    from softphone.messaging.message import (
        Availability,
        EncryptionScope,
        Message,
        MessageDirection,
        MessageSecurity,
        Presence,
    )
    from softphone.messaging.server_location import TlsMode
    from softphone.messaging.storage import ArchiveSearchMethod, ArchiveSearchPage, MessageArchive

__all__ = [
    "ALLOW",
    "MATRIX",
    "Allow",
    "ArchiveSearchMethod",
    "ArchiveSearchPage",
    "Availability",
    "CertificateName",
    "ComplianceConfig",
    "CompliancePolicy",
    "ContentKind",
    "Decision",
    "Deny",
    "EncryptionPolicy",
    "EncryptionScope",
    "HistoryConfig",
    "ImPresenceConfig",
    "Message",
    "MessageArchive",
    "MessageDirection",
    "MessageHook",
    "MessageSecurity",
    "MessagingClient",
    "MessagingConfig",
    "MessagingEnvironment",
    "PendingMessage",
    "PolicyRow",
    "Presence",
    "PresenceNode",
    "Redact",
    "SendMode",
    "SentMessage",
    "SubscriptionApproval",
    "TlsMode",
]

_MODULES = (
    "message",
    "encryption_policy",
    "server_location",
    "compliance.hook",
    "compliance.policies",
    "compliance.config",
    "im_presence",
    "config",
    "storage.archive",
    "storage.archive_search",
    "delivery.sender",
    "client",
)


def __getattr__(name: str) -> Any:
    if name in __all__:
        for each in _MODULES:
            module = _load(each)
            if hasattr(module, name):
                value = globals()[name] = getattr(module, name)
                return value
    raise AttributeError(f"module 'softphone.messaging' has no attribute {name!r}")


def _load(name: str) -> Any:
    try:
        return import_module(f"softphone.messaging.{name}")
    except ModuleNotFoundError as exc:
        if exc.name is None or exc.name.partition(".")[0] != "slixmpp":
            raise
        raise ConfigurationError(f"instant messages need slixmpp: {install_command('im')}") from exc
