"""The verdict on a peer's certificate chain, in two steps and without I/O.

`examine` checks the path that OpenSSL verified and lists the revocation data and TVS answers to
fetch; `Examination.conclude` judges what was fetched.  Also here: roles in trust lists, the
question about an unknown certificate, a checklist, and a cache of verdicts.  `softphone.net.stream`
fetches and asks.  Checks of single certificates are in `softphone.trust.certificate`.

RFC 5280 (section 4.2.1.13 for CRLs), RFC 5922 and RFC 9525 (identity), RFC 6960 and RFC 5019
(OCSP).
"""

from __future__ import annotations

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
    "CertificateVerdict",
    "Examination",
    "Fetch",
    "FetchFailed",
    "FetchKind",
    "GateRules",
    "ServiceEndpoint",
    "UnknownCertificate",
    "VerdictCache",
    "examine",
    "next_update",
    "question_about",
    "role_of",
]
