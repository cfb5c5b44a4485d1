"""Certificates and who is believed."""

from __future__ import annotations

from softphone.trust.certificate import (
    Service,
    check_identity,
    fingerprint_of,
    identifies,
    load_certificate_file,
    load_certificates,
    names_of,
)
from softphone.trust.context import (
    ClientCertificates,
    Credential,
    TlsSettings,
    client_context,
    server_context,
)
from softphone.trust.store import Pin, TrustStore

__all__ = [
    "ClientCertificates",
    "Credential",
    "Pin",
    "Service",
    "TlsSettings",
    "TrustStore",
    "check_identity",
    "client_context",
    "fingerprint_of",
    "identifies",
    "load_certificate_file",
    "load_certificates",
    "names_of",
    "server_context",
]
