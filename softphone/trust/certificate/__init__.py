"""Checks of parsed certificates: names, name constraints, purposes, key strength, dates; and pins.

OpenSSL builds the path; `softphone.trust.verification` checks revocation and reaches the verdict.
Certificate requests are in `softphone.trust.csr`, private keys in `softphone.trust.keystore`.
`requirements`, a table of what each server presents, and `public_roots`, one of the cloud services'
authorities, are imported from their own modules.

RFC 5280 (strict form, section 4.2.1.6 for names), RFC 5922 (SIP domains), RFC 6125 and RFC 9525
(DNS names, wildcards, common names), RFC 6120 section 13.7 (xmppAddr), RFC 4985 (SRVName), RFC 4514
(names as text).
"""

from __future__ import annotations

from softphone.trust.certificate.certificate import (
    SRV_NAME,
    UNREADABLE,
    XMPP_ADDR,
    Service,
    check_edge_domain,
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
from softphone.trust.certificate.name_constraints import check_name_constraints
from softphone.trust.certificate.path_checks import check_dates, check_strength, strict_violations
from softphone.trust.certificate.pin import Pin
from softphone.trust.certificate.purposes import (
    check_client_purpose,
    serves_clients,
    serves_servers,
)

__all__ = [
    "SRV_NAME",
    "UNREADABLE",
    "XMPP_ADDR",
    "Pin",
    "Service",
    "check_client_purpose",
    "check_dates",
    "check_edge_domain",
    "check_identity",
    "check_name_constraints",
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
    "serves_clients",
    "serves_servers",
    "strict_violations",
    "string_der",
    "subject_of",
]
