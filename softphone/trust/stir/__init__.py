"""STIR and SHAKEN: verifies a carrier's signed statement that a caller may use a number.

Reads the PASSporTs of Identity header fields, compares what they claim with the call, and checks
their signature by a certificate whose path ends at an anchor of the account's own; authorities of
web servers vouch for no number.  The result is an `Attestation`: a claim of the carrier, never a
proof of who speaks, and it does not raise the security level of a call.  The package opens no
connection: `softphone.net.http.RepositoryFetcher` fetches certificates.  It signs nothing, and
follows neither the compact form nor `div` (RFC 8946).

RFC 8224 (Identity), RFC 8225 (PASSporT), RFC 8226 (certificates), RFC 8588 (SHAKEN).
"""

from __future__ import annotations

from softphone.trust.stir.attestation import Attestation, AttestationLevel
from softphone.trust.stir.passport import (
    InvalidPassport,
    Passport,
    canonical_number,
    number_of,
    parse_identity,
)
from softphone.trust.stir.replay import ReplayCache
from softphone.trust.stir.telephone_authority import TelephoneAuthority, parse_authority_list
from softphone.trust.stir.verification import (
    CallClaims,
    check_claims,
    load_path,
    select_passports,
    verify_passport,
)

__all__ = [
    "Attestation",
    "AttestationLevel",
    "CallClaims",
    "InvalidPassport",
    "Passport",
    "ReplayCache",
    "TelephoneAuthority",
    "canonical_number",
    "check_claims",
    "load_path",
    "number_of",
    "parse_authority_list",
    "parse_identity",
    "select_passports",
    "verify_passport",
]
