"""Instant messages: XMPP on slixmpp, client-to-client TLS, the policy matrix, history.

slixmpp is loaded with the names that need it; without the extra `im` they say what to install.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from softphone.errors import ConfigurationError

if TYPE_CHECKING:
    from softphone.messaging.archive import Archive
    from softphone.messaging.compliance import CompliancePolicy, Kind
    from softphone.messaging.compliance_config import ComplianceConfig
    from softphone.messaging.config import Approval, HistoryConfig, MessagingConfig
    from softphone.messaging.hook import ALLOW, Allow, Decision, Deny, MessageHook, Question, Redact
    from softphone.messaging.location import TlsMode
    from softphone.messaging.message import (
        Direction,
        Message,
        MessageSecurity,
        Presence,
        Reach,
        Show,
    )
    from softphone.messaging.messages import Messages, Surroundings
    from softphone.messaging.policy import MATRIX, EncryptionPolicy, Row, Sending
    from softphone.messaging.sending import Sent

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

_ROOMS = (
    "message",
    "policy",
    "location",
    "hook",
    "compliance",
    "compliance_config",
    "config",
    "archive",
    "sending",
    "messages",
)


def __getattr__(name: str) -> Any:
    if name in __all__:
        for room in _ROOMS:
            module = _room(room)
            if name in module.__all__:
                value = globals()[name] = getattr(module, name)
                return value
    raise AttributeError(f"module 'softphone.messaging' has no attribute {name!r}")


def _room(name: str) -> Any:
    try:
        return import_module(f"softphone.messaging.{name}")
    except ModuleNotFoundError as exc:
        if exc.name is None or exc.name.partition(".")[0] != "slixmpp":
            raise
        raise ConfigurationError(
            "instant messages need slixmpp: install it with pip install 'softphone[im]'"
        ) from exc
