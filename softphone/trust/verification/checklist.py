"""A checklist of a server's certificates: each check with its outcome and a remedy.

The gate stops at the first failure; a person who repairs a deployment needs all of them.  The
gate alone decides whether a certificate is accepted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from cryptography import x509

from softphone.errors import (
    CertificateError,
    CertificateRevoked,
    CertificateUntrusted,
    SoftphoneError,
)
from softphone.sans_io import PeerIdentity
from softphone.security import Relaxation
from softphone.trust.certificate import (
    check_dates,
    check_identity,
    check_name_constraints,
    check_strength,
    fingerprint_of,
    issuer_of,
    names_of,
    strict_violations,
    subject_of,
)
from softphone.trust.verification.revocation import revocation_fetches
from softphone.trust.verification.unknown_certificate import ServiceEndpoint


class CheckOutcome(StrEnum):
    """The outcome of a check."""

    PASSES = "passes"
    RESERVED = "passes with a reservation"
    FAILS = "fails"
    UNKNOWN = "not checked"


@dataclass(frozen=True, slots=True)
class CertificateCheck:
    """One check; `remedy` says what would make it pass, empty when there is nothing to do."""

    name: str
    outcome: CheckOutcome
    detail: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class InspectionResult:
    """The certificates that a server presented, and the gate's verdict.

    `shown` is the chain as presented (leaf first), `path` the verified path with its anchor; when
    none was found it is empty and `unverified` says why.  `identity` is the accepted peer,
    `refusal` the error of the gate otherwise.
    """

    shown: tuple[x509.Certificate, ...]
    path: tuple[x509.Certificate, ...]
    unverified: SoftphoneError | None
    identity: PeerIdentity | None
    refusal: SoftphoneError | None


def inspection_result(
    shown: Sequence[bytes],
    path: Sequence[bytes],
    *,
    unverified: SoftphoneError | None,
    identity: PeerIdentity | None,
    refusal: SoftphoneError | None,
) -> InspectionResult:
    """Make an `InspectionResult` from chains in DER.

    Raises CertificateUntrusted when a certificate cannot be read.
    """
    return InspectionResult(_parsed(shown), _parsed(path), unverified, identity, refusal)


def _parsed(chain: Sequence[bytes]) -> tuple[x509.Certificate, ...]:
    try:
        return tuple(x509.load_der_x509_certificate(der) for der in chain)
    except (ValueError, x509.InvalidVersion) as exc:
        raise CertificateUntrusted(
            f"the server shows a certificate that cannot be read: {exc}"
        ) from exc


def checks_of(
    seen: InspectionResult,
    place: ServiceEndpoint,
    *,
    wall: datetime,
    allow: frozenset[Relaxation] = frozenset(),
) -> tuple[CertificateCheck, ...]:
    """Make all checks: path, dates, keys and signatures, RFC 5280, name, revocation.

    Without a verified path they run on the chain as presented.
    """
    chain = seen.path or seen.shown
    return (
        _path(seen),
        _borne(_dates(chain, wall), seen),
        _strength(chain, allow),
        _form(chain),
        _borne(_name(chain, place), seen),
        _revocation(seen),
    )


_BY_ITSELF: Mapping[str, str] = {
    "pin": "the certificate is pinned",
    "trust-list": "a trust list names the certificate",
    "tvs": "the cluster's TVS vouches for the certificate",
}
"""Why a certificate itself is trusted, byte for byte, by the kind of verdict."""


def _borne(check: CertificateCheck, seen: InspectionResult) -> CertificateCheck:
    """Return a check, a failed one as tolerated if the certificate itself is trusted."""
    identity = seen.identity
    why = None if identity is None else _BY_ITSELF.get(identity.verdict)
    if check.outcome is not CheckOutcome.FAILS or why is None:
        return check
    detail = f"{check.detail}; accepted, since {why}"
    return replace(check, outcome=CheckOutcome.RESERVED, detail=detail)


def _path(seen: InspectionResult) -> CertificateCheck:
    if seen.identity is not None and seen.identity.verdict in _BY_ITSELF:
        detail = f"none is needed: {_BY_ITSELF[seen.identity.verdict]}"
        return CertificateCheck("path", CheckOutcome.PASSES, detail)
    if seen.path:
        anchor = seen.path[-1]
        return CertificateCheck(
            "path", CheckOutcome.PASSES, f"it leads to {subject_of(anchor)}, which is trusted"
        )
    last = seen.shown[-1]
    remedy = (
        f"trust the authority {issuer_of(last)} (tls.ca), or accept its SHA-256 through"
        f" TrustStore.add_pin: {fingerprint_of(seen.shown[0])}"
    )
    return CertificateCheck("path", CheckOutcome.FAILS, str(seen.unverified), remedy)


def _dates(chain: Sequence[x509.Certificate], wall: datetime) -> CertificateCheck:
    try:
        check_dates(chain, wall=wall)
    except CertificateError as exc:
        remedy = "have the certificate renewed, and look at the clock of this machine"
        return CertificateCheck("dates", CheckOutcome.FAILS, str(exc), remedy)
    ends = min(each.not_valid_after_utc for each in chain)
    return CertificateCheck("dates", CheckOutcome.PASSES, f"all are valid until {ends:%F %R} UTC")


def _strength(chain: Sequence[x509.Certificate], allow: frozenset[Relaxation]) -> CertificateCheck:
    name = "keys and signatures"
    try:
        passed = check_strength(chain, allow)
    except CertificateError as exc:
        remedy = "have it issued anew with RSA of 2,048 bits or a P-256 key, and SHA-256"
        return CertificateCheck(name, CheckOutcome.FAILS, str(exc), remedy)
    if passed:
        return CertificateCheck(name, CheckOutcome.RESERVED, "; ".join(passed))
    return CertificateCheck(name, CheckOutcome.PASSES, "all are as strong as they should be")


def _form(chain: Sequence[x509.Certificate]) -> CertificateCheck:
    departures = strict_violations(chain)
    if not departures:
        return CertificateCheck("RFC 5280", CheckOutcome.PASSES, "nothing departs from it")
    remedy = "nothing, under an authority of your own; a public one's are refused"
    return CertificateCheck("RFC 5280", CheckOutcome.RESERVED, "; ".join(departures), remedy)


def _name(chain: Sequence[x509.Certificate], place: ServiceEndpoint) -> CertificateCheck:
    leaf = chain[0]
    try:
        check_identity(leaf, place.service, place.reference)
    except CertificateError as exc:
        named = ", ".join(names_of(leaf)) or "nobody"
        remedy = (
            f'have it issued for "{place.reference}", or reach the server by a name that it has:'
            f" {named}"
        )
        return CertificateCheck("name", CheckOutcome.FAILS, str(exc), remedy)
    try:
        check_name_constraints(chain, place.reference)
    except CertificateError as exc:
        remedy = "have it issued by an authority that may vouch for every name in it"
        return CertificateCheck("name", CheckOutcome.FAILS, str(exc), remedy)
    return CertificateCheck("name", CheckOutcome.PASSES, f"it is one of {place.reference}")


_REVOCATION: Mapping[str, tuple[CheckOutcome, str, str]] = {
    "good": (CheckOutcome.PASSES, "not revoked, as its authority says", ""),
    "undeclared": (
        CheckOutcome.RESERVED,
        "the certificate says nowhere how to ask",
        "an HTTP URL in CDP or AIA is needed for revocation to be checked",
    ),
    "unreachable": (
        CheckOutcome.RESERVED,
        "nobody answered; the connection goes on",
        "make the server of its CDP or AIA reachable by HTTP; if it is at a loopback or link-local"
        " address, allow local-revocation (policy.allow)",
    ),
    "invalid": (
        CheckOutcome.RESERVED,
        "the answer was stale, forged or unknown, and a setting lets it pass",
        "have the authority publish a current answer",
    ),
    "unchecked": (CheckOutcome.UNKNOWN, "nobody was asked, since it is off", ""),
}

_UNASKED: Mapping[str, tuple[CheckOutcome, str, str]] = {
    "pin": (
        CheckOutcome.RESERVED,
        "nobody is asked about a pinned certificate: it is trusted as long as it is pinned",
        "take the pin away when the certificate is revoked",
    ),
    "trust-list": (
        CheckOutcome.PASSES,
        "nobody is asked about a certificate that a trust list names: it is trusted until a"
        " newer list leaves it out",
        "",
    ),
    "tvs": (CheckOutcome.PASSES, "the cluster's TVS was asked about it, and no CRL or OCSP", ""),
}
"""The outcome without a declared source, for kinds of verdict that replace revocation."""


def revocation_outcome(identity: PeerIdentity) -> tuple[CheckOutcome, str, str]:
    """Return the revocation status of an accepted peer: the outcome, a sentence, a remedy."""
    if identity.revocation == "undeclared" and identity.verdict in _UNASKED:
        return _UNASKED[identity.verdict]
    return _REVOCATION[identity.revocation]


def _revocation(seen: InspectionResult) -> CertificateCheck:
    if seen.identity is not None:
        return CertificateCheck("revocation", *revocation_outcome(seen.identity))
    if isinstance(seen.refusal, CertificateRevoked):
        remedy = "ask the authority why, and have a new certificate issued"
        return CertificateCheck("revocation", CheckOutcome.FAILS, str(seen.refusal), remedy)
    if seen.refusal is not None and "revocation" in str(seen.refusal):
        remedy = "have the authority publish a current answer"
        if "local-revocation" in str(seen.refusal):
            remedy = "allow local-revocation (policy.allow), if that is where the answer should be"
        return CertificateCheck("revocation", CheckOutcome.FAILS, str(seen.refusal), remedy)
    declared = (
        ", ".join(fetch.url for fetch in revocation_fetches(seen.path or seen.shown)) or "nothing"
    )
    detail = f"nobody is asked about a certificate that is not accepted; it declares {declared}"
    return CertificateCheck("revocation", CheckOutcome.UNKNOWN, detail)
