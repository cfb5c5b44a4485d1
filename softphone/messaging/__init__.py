"""Instant messages: XMPP on slixmpp, client-to-client TLS, the policy matrix, history.

slixmpp is loaded with the names that need it; without the extra `im` they say what to install.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from softphone.errors import ConfigurationError

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
    from softphone.messaging.config import HistoryConfig, MessagingConfig, SubscriptionApproval
    from softphone.messaging.delivery.sender import SentMessage
    from softphone.messaging.encryption_policy import MATRIX, EncryptionPolicy, PolicyRow, SendMode
    from softphone.messaging.message import (
        Availability,
        EncryptionScope,
        Message,
        MessageDirection,
        MessageSecurity,
        Presence,
    )
    from softphone.messaging.server_location import TlsMode
    from softphone.messaging.storage import MessageArchive

__all__ = [
    "ALLOW",
    "MATRIX",
    "Allow",
    "Availability",
    "ComplianceConfig",
    "CompliancePolicy",
    "ContentKind",
    "Decision",
    "Deny",
    "EncryptionPolicy",
    "EncryptionScope",
    "HistoryConfig",
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
    "config",
    "storage.archive",
    "delivery.sender",
    "client",
)


def __getattr__(name: str) -> Any:
    if name in __all__:
        for each in _MODULES:
            module = _load(each)
            if name in module.__all__:
                value = globals()[name] = getattr(module, name)
                return value
    raise AttributeError(f"module 'softphone.messaging' has no attribute {name!r}")


def _load(name: str) -> Any:
    try:
        return import_module(f"softphone.messaging.{name}")
    except ModuleNotFoundError as exc:
        if exc.name is None or exc.name.partition(".")[0] != "slixmpp":
            raise
        raise ConfigurationError(
            "instant messages need slixmpp: install it with pip install 'softphone[im]'"
        ) from exc
