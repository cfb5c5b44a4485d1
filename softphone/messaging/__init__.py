"""Instant messages: XMPP on slixmpp, client-to-client TLS, the policy matrix, history.

slixmpp is loaded with the names that need it; without the extra `im` they say what to install.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from softphone.errors import ConfigurationError

if TYPE_CHECKING:
    from softphone.messaging.client import Messages, Surroundings
    from softphone.messaging.compliance import (
        ALLOW,
        Allow,
        ComplianceConfig,
        CompliancePolicy,
        Decision,
        Deny,
        Kind,
        MessageHook,
        Question,
        Redact,
    )
    from softphone.messaging.config import Approval, HistoryConfig, MessagingConfig
    from softphone.messaging.delivery.sender import Sent
    from softphone.messaging.encryption_policy import MATRIX, EncryptionPolicy, Row, Sending
    from softphone.messaging.message import (
        Direction,
        Message,
        MessageSecurity,
        Presence,
        Reach,
        Show,
    )
    from softphone.messaging.server_location import TlsMode
    from softphone.messaging.storage import Archive

__all__ = [
    "ALLOW",
    "MATRIX",
    "Allow",
    "Approval",
    "Archive",
    "ComplianceConfig",
    "CompliancePolicy",
    "Decision",
    "Deny",
    "Direction",
    "EncryptionPolicy",
    "HistoryConfig",
    "Kind",
    "Message",
    "MessageHook",
    "MessageSecurity",
    "Messages",
    "MessagingConfig",
    "Presence",
    "Question",
    "Reach",
    "Redact",
    "Row",
    "Sending",
    "Sent",
    "Show",
    "Surroundings",
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
