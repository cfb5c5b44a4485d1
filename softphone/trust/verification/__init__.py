"""softphone.trust.verification."""

from __future__ import annotations

from softphone.trust.verification.checklist import Check, Outcome, Seen, checks_of, seen_of
from softphone.trust.verification.gate import Examination, GateRules, Verdict, examine
from softphone.trust.verification.revocation import Fetch, FetchFailed, FetchKind, next_update
from softphone.trust.verification.role_check import AskTvs, role_of
from softphone.trust.verification.unknown_certificate import (
    Ask,
    Place,
    UnknownCertificate,
    question_about,
)
from softphone.trust.verification.verdict_cache import VerdictCache

__all__ = [
    "Ask",
    "AskTvs",
    "Check",
    "Examination",
    "Fetch",
    "FetchFailed",
    "FetchKind",
    "GateRules",
    "Outcome",
    "Place",
    "Seen",
    "UnknownCertificate",
    "Verdict",
    "VerdictCache",
    "checks_of",
    "examine",
    "next_update",
    "question_about",
    "role_of",
    "seen_of",
]
