"""softphone.trust.certificate."""

from __future__ import annotations

from softphone.trust.certificate.certificate import (
    SRV_NAME,
    XMPP_ADDR,
    Service,
    check_identity,
    der_of,
    fingerprint_in,
    fingerprint_of,
    identifies,
    issuer_of,
    load_certificate_file,
    load_certificates,
    names_in,
    names_of,
    peer_identity,
    string_der,
    subject_of,
)
from softphone.trust.certificate.path_checks import check_dates, check_strength, strict_violations
from softphone.trust.certificate.pin import Pin
from softphone.trust.certificate.requirements import CERTIFICATE_REQUIREMENTS

__all__ = [
    "CERTIFICATE_REQUIREMENTS",
    "SRV_NAME",
    "XMPP_ADDR",
    "Pin",
    "Service",
    "check_dates",
    "check_identity",
    "check_strength",
    "der_of",
    "fingerprint_in",
    "fingerprint_of",
    "identifies",
    "issuer_of",
    "load_certificate_file",
    "load_certificates",
    "names_in",
    "names_of",
    "peer_identity",
    "strict_violations",
    "string_der",
    "subject_of",
]
