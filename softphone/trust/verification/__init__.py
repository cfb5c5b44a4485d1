"""softphone.trust.verification."""

from __future__ import annotations

from softphone.trust.verification.checklist import (
    CertificateCheck,
    CheckOutcome,
    InspectionResult,
    checks_of,
    inspection_result,
)
from softphone.trust.verification.gate import CertificateVerdict, Examination, GateRules, examine
from softphone.trust.verification.revocation import Fetch, FetchFailed, FetchKind, next_update
from softphone.trust.verification.role_check import AskTvs, role_of
from softphone.trust.verification.unknown_certificate import (
    AskUser,
    ServiceEndpoint,
    UnknownCertificate,
    question_about,
)
from softphone.trust.verification.verdict_cache import VerdictCache

__all__ = [
    "AskTvs",
    "AskUser",
    "CertificateCheck",
    "CertificateVerdict",
    "CheckOutcome",
    "Examination",
    "Fetch",
    "FetchFailed",
    "FetchKind",
    "GateRules",
    "InspectionResult",
    "ServiceEndpoint",
    "UnknownCertificate",
    "VerdictCache",
    "checks_of",
    "examine",
    "inspection_result",
    "next_update",
    "question_about",
    "role_of",
]
