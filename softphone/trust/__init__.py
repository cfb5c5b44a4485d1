"""Certificates and who is believed."""

from __future__ import annotations

from softphone.trust.certificate import (
    Service,
    check_identity,
    der_of,
    fingerprint_of,
    identifies,
    load_certificate_file,
    load_certificates,
    names_of,
    peer_identity,
    subject_of,
)
from softphone.trust.context import (
    ClientCertificates,
    Credential,
    TlsSettings,
    check_credential,
    client_context,
    probe_context,
    server_context,
    verification_error,
)
from softphone.trust.csr import (
    KeyKind,
    RequestNames,
    Subject,
    new_key,
    new_request,
    write_key,
)
from softphone.trust.gate import Examination, GateRules, Verdict, examine
from softphone.trust.revocation import Fetch, FetchFailed, FetchKind, next_update
from softphone.trust.store import Pin, TrustStore, write_private

__all__ = [
    "ClientCertificates",
    "Credential",
    "Examination",
    "Fetch",
    "FetchFailed",
    "FetchKind",
    "GateRules",
    "KeyKind",
    "Pin",
    "RequestNames",
    "Service",
    "Subject",
    "TlsSettings",
    "TrustStore",
    "Verdict",
    "check_credential",
    "check_identity",
    "client_context",
    "der_of",
    "examine",
    "fingerprint_of",
    "identifies",
    "load_certificate_file",
    "load_certificates",
    "names_of",
    "new_key",
    "new_request",
    "next_update",
    "peer_identity",
    "probe_context",
    "server_context",
    "subject_of",
    "verification_error",
    "write_key",
    "write_private",
]
