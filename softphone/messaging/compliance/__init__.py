"""Compliance policies, asked before a message or file is sent or shown.

Policies allow, deny or redact, and fail closed; an external server can be one of them.  Policies
record nothing: `softphone.messaging.account_compliance` writes decisions on messages to the audit
table of `softphone.messaging.storage`, `softphone.messaging.files` those on files.
`softphone.messaging.delivery` stops denied messages.  Policies never get the text of a message
encrypted between clients.

No standard applies: the external server is asked with JSON over HTTPS (`softphone.net.http`), and
files are sent to it as a form of RFC 7578.
"""

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
