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
    Question,
    Redact,
)
from softphone.messaging.compliance.policies import (
    ComplianceEvent,
    CompliancePolicy,
    Kind,
    MessageCompliance,
    decide,
)

__all__ = [
    "ALLOW",
    "LARGEST",
    "Allow",
    "ComplianceConfig",
    "ComplianceEvent",
    "CompliancePolicy",
    "Decision",
    "Deny",
    "HookChain",
    "Kind",
    "MessageCompliance",
    "MessageHook",
    "Question",
    "Redact",
    "decide",
]
