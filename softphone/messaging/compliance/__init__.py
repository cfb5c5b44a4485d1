"""softphone.messaging.compliance."""

from __future__ import annotations

from softphone.messaging.compliance.config import LARGEST, ComplianceConfig
from softphone.messaging.compliance.hook import (
    ALLOW,
    Allow,
    Decision,
    Deny,
    HookChain,
    MessageHook,
    PendingMessage,
    Redact,
)
from softphone.messaging.compliance.policies import (
    ComplianceEvent,
    CompliancePolicy,
    ContentKind,
    MessageCompliance,
    ask_policies,
)

__all__ = [
    "ALLOW",
    "LARGEST",
    "Allow",
    "ComplianceConfig",
    "ComplianceEvent",
    "CompliancePolicy",
    "ContentKind",
    "Decision",
    "Deny",
    "HookChain",
    "MessageCompliance",
    "MessageHook",
    "PendingMessage",
    "Redact",
    "ask_policies",
]
