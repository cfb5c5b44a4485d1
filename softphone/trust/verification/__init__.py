"""The verdict on a server's or client's certificate chain, in two steps and without a socket.

`examine` checks the path that OpenSSL verified and lists what revocation needs; its conclusion
judges the answers.  Roles in trust lists, unknown certificates, a checklist and a cache of verdicts
belong to it.  It fetches nothing and asks nobody: `softphone.net.stream` does.  Names and strength
of one certificate are in `softphone.trust.certificate`.

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
