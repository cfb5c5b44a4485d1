"""Checks whether the trust lists, or TVS, give a peer's certificate the role of its service.

A certificate that a list gives the right role is accepted byte for byte, without a path or a name
check.  One that has only other roles in the lists is refused, whoever signed it.  TVS is asked
about one that they do not name: a fetch like those of revocation
(`softphone.trust.verification.revocation`), with the certificate as its request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import Enum
from typing import TypeAlias

from cryptography import x509

from softphone.errors import CertificateUntrusted
from softphone.trust.certificate import Service, fingerprint_of, subject_of
from softphone.trust.lists import Role, TrustLists, role_names
from softphone.trust.tvs import MalformedTvsMessage, TvsAnswer, TvsFramer, read_answer
from softphone.trust.verification.revocation import Fetch, FetchFailed, FetchKind

AskTvs: TypeAlias = Callable[[bytes, float], Awaitable[bytes | FetchFailed]]
"""`await ask(certificate, within)`: the VERIFY_RESPONSE of a verified TVS; `within` in seconds."""

_ROLES = {
    Service.SIP: Role.CCM,
    Service.CAPF: Role.CAPF,
    Service.HTTPS: Role.TFTP,
    Service.TVS: Role.TVS,
}
_WORDS = {
    Role.CCM: "a call server (CallManager)",
    Role.CAPF: "CAPF",
    Role.TFTP: "a file server (TFTP)",
    Role.TVS: "TVS",
}


class TrustListMatch(Enum):
    """Whether the lists name a certificate for a role."""

    LISTED = "listed"
    UNKNOWN = "unknown"


def role_of(service: Service) -> Role | None:
    """The role that a server of this service needs; None where trust lists do not apply."""
    return _ROLES.get(service)


def match_trust_lists(
    leaf: x509.Certificate, der: bytes, service: Service, lists: TrustLists
) -> TrustListMatch:
    """Look a certificate up in the trust lists by the role of a service.

    Raises CertificateUntrusted when they give it other roles only.
    """
    role = role_of(service)
    if role is None:
        return TrustListMatch.UNKNOWN
    if lists.basis(der, role) is not None:
        return TrustListMatch.LISTED
    given = lists.roles(der)
    if not given:
        return TrustListMatch.UNKNOWN
    if any(role.given_by(value) for value in given):
        why = f"only in the ITL, while the CTL names others as {_WORDS[role]}"
    else:
        names = ", ".join(role_names(given))
        why = f"in the trust list as {names}, and not as {_WORDS[role]}"
    raise CertificateUntrusted(
        f"the certificate of {subject_of(leaf)} is {why}, which is whom we meant to reach"
    )


def tvs_fetch_for(
    leaf: x509.Certificate, der: bytes, service: Service, *, reachable: bool
) -> Fetch:
    """The query to TVS about a certificate that the lists do not name.

    Raises CertificateUntrusted when TVS cannot be asked: `reachable` is False, or the service is
    TVS itself, for which only the lists can vouch.
    """
    if not reachable or service is Service.TVS:
        tvs = service is Service.TVS
        nobody = "only the lists vouch for a TVS" if tvs else "there is no TVS to ask"
        raise CertificateUntrusted(
            f"the certificate of {subject_of(leaf)} (SHA-256 {fingerprint_of(der)}) is in no trust"
            f" list that is held, and {nobody}"
        )
    return Fetch(FetchKind.TVS, "", der)


def require_tvs_yes(
    leaf: x509.Certificate, service: Service, answer: bytes | FetchFailed | None
) -> TvsAnswer:
    """Parse the answer of TVS, which must give the certificate the role of the service.

    Raises CertificateUntrusted for every other answer, and for none.
    """
    subject = subject_of(leaf)
    if answer is None or isinstance(answer, FetchFailed):
        why = "it was not asked" if answer is None else answer.reason
        raise CertificateUntrusted(
            f"the certificate of {subject} is in no trust list, and no TVS has answered: {why}"
        )
    try:
        message = TvsFramer().feed(answer)
        if message is None:
            raise MalformedTvsMessage("it is not whole")
        read = read_answer(message)
    except MalformedTvsMessage as exc:
        raise CertificateUntrusted(f"what TVS says of {subject} is malformed: {exc}") from exc
    role = role_of(service)
    if not read.valid:
        raise CertificateUntrusted(
            f"the certificate of {subject} is in no trust list, and TVS does not know it"
        )
    if role is None or not any(role.given_by(value) for value in read.roles):
        given = ", ".join(role_names(read.roles)) or "no role"
        meant = "" if role is None else f", and not {_WORDS[role]}"
        raise CertificateUntrusted(f"TVS knows the certificate of {subject} as {given}{meant}")
    return read
