"""Which trust list is believed, and what the believed ones say of a certificate.

The first list is believed because its signer was named by a person (a pin), or, when that is
asked for, because it was the first; every later one because a certificate of an earlier list, or
TVS, vouches for its signer.  A refused list never takes the place of the one that is held.  A pin
that is given while lists are held is held against them, too.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from softphone.trust.certificate import fingerprint_of
from softphone.trust.lists.tlv import FileHashAlgorithm, FileRefusalReason, FileRefused
from softphone.trust.lists.trust_list import (
    ListKind,
    Role,
    TrustList,
    parse_trust_list,
    verify_trust_list,
)

logger = logging.getLogger("softphone.trust")

SHA_1_NOTE = "signed over SHA-1, which forgers have broken: have CUCM sign with SHA-512"
PROTECTION_OFF_NOTE = {
    ListKind.ITL: "names nobody who may sign files: the cluster's protection is switched off",
    ListKind.CTL: "names no call server: the cluster has left mixed mode",
}


class TrustBasis(StrEnum):
    """On whose word a list was accepted, or a certificate is believed."""

    PIN = "pin"
    FIRST_USE = "first_use"
    CTL = "ctl"
    ITL = "itl"
    TVS = "tvs"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """How the first list of a kind may be believed.

    `pins` are SHA-256 fingerprints of signers' certificates, in lower-case hex; `first_use`
    believes whoever comes first, and says so in the log.
    """

    pins: frozenset[str] = frozenset()
    first_use: bool = False


@dataclass(frozen=True, slots=True)
class ListPolicy:
    """What is asked of a list beside a known signer.

    `sha_1` admits signatures over SHA-1, which is what CUCM makes unless it is told otherwise; a
    list so signed is reported, and never accepted after a better one.
    """

    sha_1: bool = True


@dataclass(frozen=True, slots=True)
class TrustLists:
    """The lists that are believed; either may be missing."""

    ctl: TrustList | None = None
    itl: TrustList | None = None

    def held(self, kind: ListKind) -> TrustList | None:
        """The one of a kind."""
        return self.ctl if kind is ListKind.CTL else self.itl

    def holding(self, trust_list: TrustList) -> TrustLists:
        """The same with another list in the place of its kind."""
        if trust_list.kind is ListKind.CTL:
            return replace(self, ctl=trust_list)
        return replace(self, itl=trust_list)

    def basis(self, certificate: bytes, role: Role) -> TrustBasis | None:
        """Which list gives this certificate (DER) that role; None when neither does.

        When the CTL names call servers it is the only one that counts for them.
        """
        if self.ctl is not None and self.ctl.names(certificate, role):
            return TrustBasis.CTL
        if role in (Role.CCM, Role.CCM_TFTP) and self.ctl is not None and self.ctl.protects:
            return None
        if self.itl is not None and self.itl.names(certificate, role):
            return TrustBasis.ITL
        return None

    def __bool__(self) -> bool:
        """Whether any list is held."""
        return self.ctl is not None or self.itl is not None

    def roles(self, certificate: bytes) -> tuple[int, ...]:
        """Every role that either list gives this certificate (DER), whatever it is worth."""
        found = (
            record.role
            for each in (self.ctl, self.itl)
            if each is not None
            for record in each.records
            if record.confirms(certificate)
        )
        return tuple(dict.fromkeys(found))

    def certificates(self, role: Role) -> tuple[bytes, ...]:
        """The certificates (DER) that may play a role, those of the CTL first, each once."""
        found = [
            der
            for each in (self.ctl, self.itl)
            if each is not None
            for der in each.certificates(role)
            if self.basis(der, role) is not None
        ]
        return tuple(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A list that was accepted, on whose word, and what a person should know of it."""

    trust_list: TrustList
    basis: TrustBasis
    signer: str
    notes: tuple[str, ...] = ()


def notes_on(trust_list: TrustList) -> tuple[str, ...]:
    """What a person should know of a list, however good its signature."""
    weak = (SHA_1_NOTE,) if trust_list.header.digest is FileHashAlgorithm.SHA_1 else ()
    return weak if trust_list.protects else (*weak, PROTECTION_OFF_NOTE[trust_list.kind])


def _check_digest(new: TrustList, old: TrustList | None, policy: ListPolicy) -> None:
    if new.header.digest is not FileHashAlgorithm.SHA_1:
        return
    if not policy.sha_1:
        raise FileRefused(
            FileRefusalReason.DIGEST_FORBIDDEN,
            f"{new.header.filename} is {SHA_1_NOTE} (SHA-1 is forbidden)",
        )
    if old is not None and old.header.digest is not FileHashAlgorithm.SHA_1:
        raise FileRefused(
            FileRefusalReason.DIGEST_DOWNGRADE,
            f"{new.header.filename} is {SHA_1_NOTE}; the list that is held was signed over"
            f" {old.header.digest.name.replace('_', '-')}, so this one is not believed",
        )


def _check_age(new: TrustList, old: TrustList | None) -> None:
    if old is None or old.header.timestamp is None:
        return
    if new.header.timestamp is None or new.header.timestamp < old.header.timestamp:
        age = "older than the one that is held"
    elif new.header.timestamp == old.header.timestamp and _replaces(new, old):
        age = "of the same second as the one that is held, and dates have seconds only"
    else:
        return
    raise FileRefused(
        FileRefusalReason.OLDER,
        f"{new.header.filename} is {age}: somebody serves an old list again; if it is meant so,"
        " reset the trust lists first",
    )


def _replaces(new: TrustList, old: TrustList) -> bool:
    """Whether one signer says different things in the two: one was meant to replace the other."""
    return new.records != old.records and verify_trust_list(new) == verify_trust_list(old)


def _vouching(signer: bytes, kind: ListKind, held: TrustLists) -> TrustBasis | None:
    """Which list that is held vouches for a signer of lists of a kind."""
    ctl, itl = held.ctl, held.itl
    if ctl is not None:
        for_itl = kind is ListKind.ITL and any(
            record.role == Role.CCM_TFTP and record.confirms(signer) for record in ctl.records
        )
        if for_itl or ctl.names(signer, Role.SAST):
            return TrustBasis.CTL
    # An ITL vouches for the next ITL, and for a cluster's first CTL.
    if itl is not None and (kind is ListKind.ITL or ctl is None) and itl.names(signer, Role.SAST):
        return TrustBasis.ITL
    return None


def _first(
    new: TrustList, signer: str, held: TrustLists, bootstrap: Bootstrap
) -> tuple[TrustBasis, str] | None:
    """The basis on which a list may be the first of its kind, and what is logged of it."""
    old = held.held(new.kind)
    if old is not None and old.protects:
        return None
    if signer in bootstrap.pins:
        return TrustBasis.PIN, "its signer was named by a person"
    alone = held.ctl is None and (held.itl is None or not held.itl.protects)
    if bootstrap.first_use and alone:
        return TrustBasis.FIRST_USE, "it is the first, and nobody vouches for it"
    return None


def _signers(trust_list: TrustList) -> frozenset[str]:
    """Who has signed a list, and those before it by which it came to be believed (SHA-256)."""
    return trust_list.vouchers | {fingerprint_of(verify_trust_list(trust_list))}


def _vouchers(basis: TrustBasis, held: TrustLists) -> frozenset[str]:
    """On whose word a new list is believed, when it is on that of lists that are held."""
    by = {
        TrustBasis.CTL: (held.ctl,),
        TrustBasis.ITL: (held.itl,),
        TrustBasis.TVS: (held.ctl, held.itl),  # either may have named the TVS
    }.get(basis, ())
    signers = [_signers(each) for each in by if each is not None]
    return frozenset.intersection(*signers) if signers else frozenset()


def _unpinned(held: TrustLists, pins: frozenset[str]) -> tuple[TrustList, ...]:
    """The lists that are on the word of no pinned signer, nor of a list that is on one's."""
    lists = [each for each in (held.ctl, held.itl) if each is not None and each.protects]
    pinned = TrustLists()
    for each in lists:
        if pins & _signers(each):
            pinned = pinned.holding(each)
    # A list has its own signer among those who may sign the next, so a pinned one is none of them.
    return tuple(
        each for each in lists if _vouching(verify_trust_list(each), each.kind, pinned) is None
    )


def check_pins(held: TrustLists, bootstrap: Bootstrap, *, only: ListKind | None = None) -> None:
    """Hold the pins, when there are any, against the lists that are held, or against one of them.

    A list does when its signer is pinned, or that of one on whose word it is, however long ago;
    one that protects nothing any more is not asked.  Raises FileRefused (PIN_MISMATCH).
    """
    if not bootstrap.pins:
        return
    for each in _unpinned(held, bootstrap.pins):
        if only not in (None, each.kind):
            continue
        signer = fingerprint_of(verify_trust_list(each))
        kind = each.kind.value.upper()
        raise FileRefused(
            FileRefusalReason.PIN_MISMATCH,
            f"the {kind} is signed by {each.header.signer.subject} (SHA-256 {signer}), and the pin"
            " is another one: compare this fingerprint with what the administrator of the cluster"
            " says; if it is right, pin it as well (--pin), else reset the trust lists (softphone"
            " trust reset) and begin again with the pin",
            fingerprint=signer,
        )


def _unknown(new: TrustList, signer: str, held: TrustLists, bootstrap: Bootstrap) -> FileRefused:
    if held == TrustLists():
        why, instead = "the pin is another one", ""
        if not bootstrap.pins:
            why = "nothing says yet whom to believe"
            instead = ", or trust on first use (--trust-on-first-use)"
        return FileRefused(
            FileRefusalReason.NO_ANCHOR,
            f"{why}: {new.header.filename} is signed by"
            f" {new.header.signer.subject} with the SHA-256 fingerprint {signer}; compare it with"
            f" what the administrator of the cluster says, and pin it (--pin){instead}",
            fingerprint=signer,
        )
    return FileRefused(
        FileRefusalReason.SIGNER_UNKNOWN,
        f"{new.header.filename} is signed by {new.header.signer.subject} (SHA-256 {signer}), whom"
        " no list that is held names; if the cluster was rebuilt, reset the trust lists and"
        " compare the fingerprint",
        fingerprint=signer,
    )


def accept_list(
    new: TrustList,
    held: TrustLists,
    *,
    bootstrap: Bootstrap | None = None,
    policy: ListPolicy | None = None,
    confirmed: frozenset[bytes] = frozenset(),
) -> Acceptance:
    """Decide on a list that has arrived; `held` is not changed.

    `confirmed` are certificates (DER) for which a verified TVS has answered that they have role
    SAST: after SIGNER_UNKNOWN the signer may be asked about, and the list offered again.  Pins are
    held against the list of its kind that is held, and against the new one (`check_pins`).  Raises
    FileRefused, by cause.
    """
    bootstrap, policy = bootstrap or Bootstrap(), policy or ListPolicy()
    old = held.held(new.kind)
    der = verify_trust_list(new)
    signer = fingerprint_of(der)
    notes = notes_on(new)
    if old is not None and old.data == new.data:
        check_pins(held, bootstrap, only=new.kind)
        return Acceptance(old, TrustBasis.UNCHANGED, signer, notes)
    _check_digest(new, old, policy)
    basis = _vouching(der, new.kind, held)
    first = _first(new, signer, held, bootstrap) if basis is None else None
    if first is not None:
        basis, why = first
        logger.warning(
            "%s is believed: %s; signed by %s, SHA-256 %s, file %s",
            new.header.filename,
            why,
            new.header.signer.subject,
            signer,
            new.fingerprint,
        )
    if basis is None and der in confirmed:
        basis = TrustBasis.TVS
    if basis is None:
        raise _unknown(new, signer, held, bootstrap)
    _check_age(new, old)
    check_pins(held, bootstrap, only=new.kind)
    new = replace(new, vouchers=_vouchers(basis, held))
    check_pins(held.holding(new), bootstrap, only=new.kind)
    for note in notes:
        logger.warning("%s %s", new.header.filename, note)
    return Acceptance(new, basis, signer, notes)


def accept_list_file(
    kind: ListKind,
    data: bytes,
    held: TrustLists,
    *,
    bootstrap: Bootstrap | None = None,
    policy: ListPolicy | None = None,
    confirmed: frozenset[bytes] = frozenset(),
    requested: str | None = None,
) -> Acceptance:
    """The same of a file that should be a list of a kind, and was asked for by name `requested`.

    Raises FileRefused, by cause.
    """
    new = parse_trust_list(data, requested=requested)
    if new.kind is not kind:
        raise FileRefused(
            FileRefusalReason.NAME_MISMATCH,
            f"{kind.filename} was asked for, and {new.header.filename} came",
        )
    return accept_list(new, held, bootstrap=bootstrap, policy=policy, confirmed=confirmed)


@dataclass(frozen=True, slots=True)
class TrustListUpdate:
    """What came of some downloads: the lists that are believed now, and one outcome a file."""

    lists: TrustLists
    outcomes: tuple[tuple[ListKind, Acceptance | FileRefused], ...]


def update_lists(
    held: TrustLists,
    downloads: Mapping[ListKind, bytes],
    *,
    bootstrap: Bootstrap | None = None,
    policy: ListPolicy | None = None,
    confirmed: frozenset[bytes] = frozenset(),
    requested: Mapping[ListKind, str] | None = None,
) -> TrustListUpdate:
    """Decide on what was downloaded, the CTL before the ITL, which it may vouch for.

    `requested` are the names that were asked for.  An empty file counts as missing.  A refused
    one leaves the list that is held.
    """
    outcomes: list[tuple[ListKind, Acceptance | FileRefused]] = []
    for kind in (ListKind.CTL, ListKind.ITL):
        data = downloads.get(kind, b"")
        if not data:
            continue
        try:
            accepted = accept_list_file(
                kind,
                data,
                held,
                bootstrap=bootstrap,
                policy=policy,
                confirmed=confirmed,
                requested=(requested or {}).get(kind),
            )
        except FileRefused as exc:
            logger.warning("%s is refused: %s", kind.filename, exc)
            outcomes.append((kind, exc))
            continue
        held = held.holding(accepted.trust_list)
        outcomes.append((kind, accepted))
    return TrustListUpdate(held, tuple(outcomes))
