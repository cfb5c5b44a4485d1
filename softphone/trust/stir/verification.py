"""Verifies PASSporTs: their claims against the call, then their signature by its certificate.

The claims come first: a PASSporT that does not match this call, or is stale, causes no fetch.  The
path is built and checked by `cryptography`'s verifier (RFC 5280): signatures, dates, basic
constraints, name constraints, unknown critical extensions.  Revocation is not checked: the lists of
STI's authorities are for their subscribers.  RFC 8224 section 6.2, RFC 8226, RFC 8588.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.x509 import verification as path_verification

from softphone.errors import ConfigurationError
from softphone.trust.certificate import UNREADABLE, load_certificates, subject_of
from softphone.trust.stir.attestation import Attestation, AttestationLevel
from softphone.trust.stir.passport import InvalidPassport, Passport, parse_identity
from softphone.trust.stir.telephone_authority import TelephoneAuthority, parse_authority_list

MOST_HEADERS = 8
"""The most Identity header fields of a call that are read."""
LONGEST_PATH = 4
"""The most authorities above the signer's certificate."""
FRESH = 60.0
"""Seconds that a PASSporT may be older or newer than now (RFC 8224 section 6.2)."""

_TN_AUTH_LIST = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.26")
_CONSTRAINTS = (
    x509.ObjectIdentifier("1.3.6.1.5.5.7.1.27"),  # JWTClaimConstraints (RFC 8226 section 8)
    x509.ObjectIdentifier("1.3.6.1.5.5.7.1.33"),  # EnhancedJWTClaimConstraints (RFC 9118)
)
_BEST_FIRST = list(AttestationLevel)


@dataclass(frozen=True, slots=True)
class CallClaims:
    """The facts of a call to compare the claims with; numbers are canonical.

    `caller` is the number that is shown as the caller's, None without one.  `called` are the
    numbers that count as ours.  `date` is that of the Date header field, in seconds since 1970.
    """

    caller: str | None
    called: frozenset[str]
    date: float | None = None


def select_passports(
    values: Sequence[str], call: CallClaims, *, wall: datetime, fresh: float = FRESH
) -> tuple[list[Passport], list[str]]:
    """Return the PASSporTs of Identity header fields that match a call, and why others do not.

    The best attestation comes first.
    """
    if not values:
        return [], ["the call has no Identity header field"]
    fitting: list[Passport] = []
    reasons: list[str] = []
    for value in values[:MOST_HEADERS]:
        try:
            passport = parse_identity(value)
            check_claims(passport, call, wall=wall, fresh=fresh)
            fitting.append(passport)
        except InvalidPassport as refusal:
            reasons.append(str(refusal))
    return sorted(fitting, key=lambda each: _BEST_FIRST.index(each.level)), reasons


def check_claims(
    passport: Passport, call: CallClaims, *, wall: datetime, fresh: float = FRESH
) -> None:
    """Raise InvalidPassport unless a PASSporT is fresh, and for this caller and this number."""
    now = wall.timestamp()
    if abs(now - passport.issued) > fresh:
        raise InvalidPassport(
            f"it is not fresh: by our clock it was issued {now - passport.issued:.0f} s ago"
        )
    if call.date is not None and abs(call.date - passport.issued) > fresh:
        raise InvalidPassport("it was issued at another time than the call's Date says")
    if call.caller is None:
        raise InvalidPassport("the caller shows no number that it could be for")
    if passport.origin != call.caller:
        raise InvalidPassport("it is for another caller's number than the one shown")
    if not call.called.intersection(passport.destinations):
        raise InvalidPassport("it is for a call to another number")


def load_path(pem: bytes) -> tuple[x509.Certificate, ...]:
    """Load the signer's certificate and those above it.  Raises InvalidPassport."""
    try:
        found = load_certificates(pem, source="what its address gave")
    except ConfigurationError as error:
        raise InvalidPassport(str(error)) from error
    if len(found) > LONGEST_PATH + 1:
        raise InvalidPassport("its address gave too many certificates")
    return found


def verify_passport(
    passport: Passport,
    path: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
    *,
    wall: datetime,
) -> Attestation:
    """Verify the signature by the first certificate of `path`, and the path to one of `anchors`.

    Raises InvalidPassport.  The claims must have been checked.
    """
    signer = path[0]
    _check_path(path, anchors, wall=wall)
    authorities = _authorities_of(signer)
    if not any(each.covers(passport.origin) for each in authorities):
        raise InvalidPassport("its certificate does not speak for the caller's number")
    _check_signature(passport, signer)
    return Attestation(
        level=passport.level,
        number=passport.origin,
        origin_id=passport.origin_id,
        authorities=tuple(map(str, authorities)),
        signer=subject_of(signer)[:256],
    )


def _check_path(
    path: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate], *, wall: datetime
) -> None:
    policy = path_verification.ExtensionPolicy
    authority = policy.permit_all().require_present(
        x509.BasicConstraints, path_verification.Criticality.AGNOSTIC, None
    )
    try:
        verifier = (
            path_verification.PolicyBuilder()
            .store(path_verification.Store(list(anchors)))
            .time(wall)
            .max_chain_depth(LONGEST_PATH)
            .extension_policies(ca_policy=authority, ee_policy=policy.permit_all())
            .build_client_verifier()
        )
        verifier.verify(path[0], list(path[1:]))
    except (path_verification.VerificationError, *UNREADABLE) as error:
        why = str(error).partition(" (encountered")[0][:200]
        raise InvalidPassport(f"its certificate leads to none of our anchors: {why}") from error


def _authorities_of(signer: x509.Certificate) -> tuple[TelephoneAuthority, ...]:
    """Return what the signer's certificate covers; refuse one that constrains claims."""
    try:
        extensions = {each.oid: each.value for each in signer.extensions}
    except UNREADABLE as error:
        raise InvalidPassport("the extensions of its certificate cannot be read") from error
    if any(oid in extensions for oid in _CONSTRAINTS):
        raise InvalidPassport("its certificate constrains claims in a way that is not known here")
    found = extensions.get(_TN_AUTH_LIST)
    if not isinstance(found, x509.UnrecognizedExtension):
        raise InvalidPassport("its certificate speaks for no carrier and no number")
    return parse_authority_list(found.value)


def _check_signature(passport: Passport, signer: x509.Certificate) -> None:
    try:
        key = signer.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidPassport("the key of its certificate cannot be read") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise InvalidPassport("the key of its certificate is not on P-256")
    halves = passport.signature[:32], passport.signature[32:]
    r, s = (int.from_bytes(half, "big") for half in halves)
    try:
        key.verify(encode_dss_signature(r, s), passport.signed, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as error:
        raise InvalidPassport("its signature is wrong") from error
