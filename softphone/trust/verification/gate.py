"""The certificate gate: judges a peer's chain in two steps, without I/O.

    examination = examine(chain, Service.SIP, "example.test", wall=wall, rules=rules)
    answers = ...                            # the driver fetches `examination.wanted`
    verdict = examination.conclude(answers, wall=wall)

`examine` takes the path that OpenSSL has verified and checks dates, key strength, strict form,
identity and name constraints (RFC 5922, RFC 9525, RFC 5280).  It lists the revocation data, or the
TVS answer, to fetch.  A chain that fails a check causes no fetch.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509

from softphone.errors import CertificateExpired, CertificateUntrusted, IdentityMismatch
from softphone.sans_io import PeerIdentity
from softphone.security import Relaxation, RevocationMode
from softphone.trust.certificate import (
    Service,
    check_client_purpose,
    check_dates,
    check_edge_domain,
    check_identity,
    check_name_constraints,
    check_strength,
    fingerprint_of,
    peer_identity,
    strict_violations,
    subject_of,
)
from softphone.trust.lists import TrustLists
from softphone.trust.verification.revocation import (
    Fetch,
    FetchFailed,
    judge_revocation,
    next_update,
    revocation_fetches,
)
from softphone.trust.verification.role_check import (
    TrustListMatch,
    match_trust_lists,
    require_tvs_yes,
    tvs_fetch_for,
)

logger = logging.getLogger("softphone.trust")


@dataclass(frozen=True, slots=True)
class GateRules:
    """The rules of one verdict.

    `anchors` are our own anchors (DER): a path that ends in one of them may depart from RFC 5280
    (the verdict names each departure), others may not.  `pins` are certificates (DER) accepted
    for this service, host and port; `only` is the fingerprint of the one certificate that is
    acceptable, None for any.  `allow` are weaknesses to let pass; the verdict names them.

    `lists` are the trust lists that are held; `tvs` says whether a TVS can be asked about
    certificates that they do not name.  `vouched` are certificates (DER) that are anchors only
    because TVS confirmed them before: TVS is asked again, or its cached answer used.
    `listed_may_expire` accepts a listed certificate after it has expired, as phones do.
    `server_domains` are the domains whose certificates a client may show though they are for
    servers only; with any, the gate judges the purpose in the place of OpenSSL.
    `edge_domain` is the domain that an edge server's certificate has to name beside its host; only
    an authority vouches for such a server.
    """

    anchors: frozenset[bytes] = frozenset()
    pins: frozenset[bytes] = frozenset()
    only: str | None = None
    revocation: RevocationMode = RevocationMode.SOFT
    allow: frozenset[Relaxation] = frozenset()
    lists: TrustLists = field(default_factory=TrustLists)
    tvs: bool = False
    vouched: frozenset[bytes] = frozenset()
    listed_may_expire: bool = True
    server_domains: frozenset[str] = frozenset()
    edge_domain: str | None = None


@dataclass(frozen=True, slots=True)
class CertificateVerdict:
    """The acceptance of a peer's certificate, with its reservations.

    `kind` is "chain", "pin", "trust-list" or "tvs"; `revocation` is a status of
    `RevocationJudgment`; `relaxations` name what was let pass.

    `until` is when the first of the revocation answers and certificates expires; None when
    revocation is "unreachable" or "invalid", so that the next connection asks again.
    """

    certificate: x509.Certificate
    kind: str
    revocation: str
    relaxations: tuple[str, ...] = ()
    until: datetime | None = None

    def identity(self, *, protocol: str, cipher: str) -> PeerIdentity:
        """The peer's identity, for its flow."""
        return peer_identity(
            self.certificate,
            protocol=protocol,
            cipher=cipher,
            verdict=self.kind,
            revocation=self.revocation,
            relaxations=self.relaxations,
        )


@dataclass(frozen=True, slots=True)
class Examination:
    """A path that has passed every check but revocation and TVS; `wanted` is what to fetch."""

    path: tuple[x509.Certificate, ...]
    service: Service
    kind: str
    rules: GateRules
    relaxations: tuple[str, ...] = ()
    wanted: tuple[Fetch, ...] = ()

    def conclude(
        self, answers: Mapping[Fetch, bytes | FetchFailed], *, wall: datetime
    ) -> CertificateVerdict:
        """Judge the fetched answers.  Raises CertificateRevoked, CertificateUntrusted."""
        if self.kind == "tvs":
            return self._conclude_tvs(answers, wall=wall)
        judgment = judge_revocation(
            self.path,
            answers,
            mode=self.rules.revocation,
            wall=wall,
            allow=self.rules.allow,
        )
        if judgment.status == "unreachable":
            failed = {each.reason for each in answers.values() if isinstance(each, FetchFailed)}
            logger.info(
                "nobody told the revocation of %s: %s",
                subject_of(self.path[0]),
                "; ".join(sorted(failed)),
            )
        for relaxation in judgment.relaxations:
            logger.info("accepted with a reservation: %s", relaxation)
        return CertificateVerdict(
            self.path[0],
            self.kind,
            judgment.status,
            self.relaxations + judgment.relaxations,
            self._until(judgment.status, answers),
        )

    def _conclude_tvs(
        self, answers: Mapping[Fetch, bytes | FetchFailed], *, wall: datetime
    ) -> CertificateVerdict:
        (question,) = self.wanted
        answer = require_tvs_yes(self.path[0], self.service, answers.get(question))
        until = min(self.path[0].not_valid_after_utc, wall + timedelta(seconds=answer.ttl))
        return CertificateVerdict(self.path[0], self.kind, "undeclared", self.relaxations, until)

    def _until(self, word: str, answers: Mapping[Fetch, bytes | FetchFailed]) -> datetime | None:
        if word in ("unreachable", "invalid"):
            return None
        ends = [each.not_valid_after_utc for each in self.path]
        ends += [
            said
            for fetch, answer in answers.items()
            if isinstance(answer, bytes) and (said := next_update(fetch, answer)) is not None
        ]
        return min(ends)


def examine(
    chain: Sequence[bytes],
    service: Service,
    reference: str | None,
    *,
    wall: datetime,
    rules: GateRules,
) -> Examination:
    """Check the path (DER, leaf first, anchor last) that OpenSSL has verified.

    `reference` is the reference identity: the name or address that we meant to reach.  It is None
    on a server, where a client's names are reported and not compared.

    Raises CertificateUntrusted, CertificateExpired, IdentityMismatch.
    """
    path = tuple(_parsed(der) for der in chain)
    if not path:
        raise CertificateUntrusted("the far end showed no certificate")
    leaf = chain[0]
    if rules.only is not None and fingerprint_of(leaf) != rules.only:
        raise CertificateUntrusted(
            f"the certificate of {subject_of(path[0])} is not the pinned one: its SHA-256 is"
            f" {fingerprint_of(leaf)}"
        )
    purpose = _purpose_of(path, reference, rules)
    pinned = rules.only is not None or leaf in rules.pins
    _check_edge(path, rules, vouched=not (pinned or rules.lists))
    standing = None
    if rules.lists and not pinned:
        standing = match_trust_lists(path[0], leaf, service, rules.lists)
    if standing is TrustListMatch.LISTED:
        return _listed(path[0], service, wall=wall, rules=rules)
    if standing is TrustListMatch.UNKNOWN and _only_shown(chain, service, rules):
        return _unknown(path[0], leaf, service, wall=wall, rules=rules)
    check_dates(path, wall=wall)
    relaxations = purpose + check_strength(path, rules.allow)
    relaxations += _strictness(path, chain[-1], rules)
    if pinned:
        relaxations += _unnamed(path[0], service, reference)
    else:
        if reference is not None:
            check_identity(path[0], service, reference)
        check_name_constraints(path, reference)
    for relaxation in relaxations:
        logger.info("accepted with a reservation: %s", relaxation)
    off = rules.revocation is RevocationMode.OFF
    wanted = (
        () if off else revocation_fetches(path, local=Relaxation.LOCAL_REVOCATION in rules.allow)
    )
    return Examination(path, service, "pin" if pinned else "chain", rules, relaxations, wanted)


def _check_edge(path: tuple[x509.Certificate, ...], rules: GateRules, *, vouched: bool) -> None:
    """Check what is demanded of an edge server only; `vouched`: by an authority."""
    if rules.edge_domain is None:
        return
    if not vouched:
        raise CertificateUntrusted(
            f"{subject_of(path[0])}: only an authority can vouch for an edge server; its"
            " certificate is neither pinned, nor accepted by hand, nor in a trust list"
        )
    check_edge_domain(path[0], rules.edge_domain)


def _purpose_of(
    path: tuple[x509.Certificate, ...], reference: str | None, rules: GateRules
) -> tuple[str, ...]:
    """Judge the purpose of a client's certificate, which OpenSSL has left to us, if it has."""
    if reference is not None or not rules.server_domains:
        return ()
    return check_client_purpose(path, rules.server_domains)


def _listed(
    leaf: x509.Certificate, service: Service, *, wall: datetime, rules: GateRules
) -> Examination:
    """Examine a certificate that a trust list names for this service; no path is needed."""
    relaxations = check_strength((leaf,), rules.allow)
    try:
        check_dates((leaf,), wall=wall)
    except CertificateExpired as exc:
        if wall < leaf.not_valid_before_utc or not rules.listed_may_expire:
            raise
        relaxations += (f"accepted by the trust list although {exc}",)
    for relaxation in relaxations:
        logger.warning("accepted with a reservation: %s", relaxation)
    return Examination((leaf,), service, "trust-list", rules, relaxations)


def _only_shown(chain: Sequence[bytes], service: Service, rules: GateRules) -> bool:
    """Whether only the trust lists and TVS can vouch for the leaf: no anchor of ours verified it.

    A listed certificate vouches for itself and issues nothing that is trusted.  Only the lists
    vouch for a TVS.
    """
    if service is Service.TVS or chain[0] in rules.vouched:
        return True
    if chain[-1] in rules.anchors:
        return False
    return len(chain) == 1 or any(rules.lists.roles(each) for each in chain[1:])


def _unknown(
    leaf: x509.Certificate, der: bytes, service: Service, *, wall: datetime, rules: GateRules
) -> Examination:
    """Examine a certificate that no list names: it must be in date and strong before TVS counts."""
    question = tvs_fetch_for(leaf, der, service, reachable=rules.tvs)
    check_dates((leaf,), wall=wall)
    relaxations = check_strength((leaf,), rules.allow)
    return Examination((leaf,), service, "tvs", rules, relaxations, (question,))


def _parsed(der: bytes) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(der)
    except (ValueError, x509.InvalidVersion) as exc:
        raise CertificateUntrusted(f"a certificate cannot be read: {exc}") from exc


def _strictness(
    path: tuple[x509.Certificate, ...], anchor: bytes, rules: GateRules
) -> tuple[str, ...]:
    violations = strict_violations(path)
    if violations and anchor not in rules.anchors:
        raise CertificateUntrusted(f"the path departs from RFC 5280: {'; '.join(violations)}")
    return violations


def _unnamed(leaf: x509.Certificate, service: Service, reference: str | None) -> tuple[str, ...]:
    """The reservation for a pinned certificate that does not name `reference`, if it does not."""
    if reference is None:
        return ()
    try:
        check_identity(leaf, service, reference)
    except IdentityMismatch as exc:
        return (f"accepted by its pin although {exc}",)
    return ()
