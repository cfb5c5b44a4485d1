"""Decides which trust list is accepted, and looks certificates up in the accepted lists.

The first list is accepted because a person has pinned its signer or, if that is enabled, on first
use.  A later list is accepted because a certificate in an accepted list, or TVS, vouches for its
signer.  A refused list never replaces the accepted one.  Pins are also checked against the lists
that are held already.
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
    """Why a list was accepted, or a certificate is trusted."""

    PIN = "pin"
    FIRST_USE = "first_use"
    SERVER = "server"
    CTL = "ctl"
    ITL = "itl"
    TVS = "tvs"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """How the first list of a kind may be accepted.

    `pins` are SHA-256 fingerprints of signers' certificates, in lower-case hex; `first_use`
    accepts the first list of any signer (trust on first use), with a warning in the log.
    `verified_server` accepts it because of the server that it comes from: every server that it is
    fetched from is verified by the trust store, over HTTPS.
    """

    pins: frozenset[str] = frozenset()
    first_use: bool = False
    verified_server: bool = False


@dataclass(frozen=True, slots=True)
class ListPolicy:
    """The rules for a list beside a trusted signer.

    `sha_1` admits signatures over SHA-1, CUCM's default.  Such a list is reported, and never
    accepted after one signed over a stronger hash.
    """

    sha_1: bool = True


@dataclass(frozen=True, slots=True)
class TrustLists:
    """The accepted lists; either may be None."""

    ctl: TrustList | None = None
    itl: TrustList | None = None

    def held(self, kind: ListKind) -> TrustList | None:
        """The list of a kind."""
        return self.ctl if kind is ListKind.CTL else self.itl

    def holding(self, trust_list: TrustList) -> TrustLists:
        """A copy with the list of the same kind replaced."""
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
        """Every role value that either list gives this certificate (DER), known or not.

        Unlike `basis`, it ignores that the CTL alone counts for call servers.
        """
        found = (
            record.role
            for each in (self.ctl, self.itl)
            if each is not None
            for record in each.records
            if record.confirms(certificate)
        )
        return tuple(dict.fromkeys(found))

    def certificates(self, role: Role) -> tuple[bytes, ...]:
        """The certificates (DER) that have a role by `basis`, the CTL's first, each once."""
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
    """An accepted list, the reason, its signer (SHA-256, hex), and warnings for a person."""

    trust_list: TrustList
    basis: TrustBasis
    signer: str
    notes: tuple[str, ...] = ()


def notes_on(trust_list: TrustList) -> tuple[str, ...]:
    """Warnings about a list with a good signature: SHA-1, or protection switched off."""
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
            f" {old.header.digest.name.replace('_', '-')}, so this one is not accepted",
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
    """Whether one signer has signed both lists and their records differ."""
    return new.records != old.records and verify_trust_list(new) == verify_trust_list(old)


def _vouching(signer: bytes, kind: ListKind, held: TrustLists) -> TrustBasis | None:
    """The basis on which the held lists vouch for a signer (DER) of lists of a kind, or None."""
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
    """The basis on which a list may be the first of its kind, with the reason to log; or None."""
    old = held.held(new.kind)
    if old is not None and old.protects:
        return None
    if signer in bootstrap.pins:
        return TrustBasis.PIN, "its signer was named by a person"
    alone = held.ctl is None and (held.itl is None or not held.itl.protects)
    if bootstrap.verified_server and alone:
        return TrustBasis.SERVER, "it is the first, and came over HTTPS from a verified server"
    if bootstrap.first_use and alone:
        return TrustBasis.FIRST_USE, "it is the first, and nobody vouches for it"
    return None


def _signers(trust_list: TrustList) -> frozenset[str]:
    """The signer of a list and its vouchers, as SHA-256 fingerprints."""
    return trust_list.vouchers | {fingerprint_of(verify_trust_list(trust_list))}


def _vouchers(basis: TrustBasis, held: TrustLists) -> frozenset[str]:
    """The vouchers of a new list, from the held lists that its basis names; else none."""
    by = {
        TrustBasis.CTL: (held.ctl,),
        TrustBasis.ITL: (held.itl,),
        TrustBasis.TVS: (held.ctl, held.itl),  # either may have named the TVS
    }.get(basis, ())
    signers = [_signers(each) for each in by if each is not None]
    return frozenset.intersection(*signers) if signers else frozenset()


def _unpinned(held: TrustLists, pins: frozenset[str]) -> tuple[TrustList, ...]:
    """The held lists for which no pinned signer vouches, directly or through another list."""
    lists = [each for each in (held.ctl, held.itl) if each is not None and each.protects]
    pinned = TrustLists()
    for each in lists:
        if pins & _signers(each):
            pinned = pinned.holding(each)
    # A list names its own signer as SAST, so a pinned list vouches for itself here.
    return tuple(
        each for each in lists if _vouching(verify_trust_list(each), each.kind, pinned) is None
    )


def check_pins(held: TrustLists, bootstrap: Bootstrap, *, only: ListKind | None = None) -> None:
    """Check the pins, if any, against the held lists, or against the one of kind `only`.

    A list passes when its signer, or one of its vouchers, is pinned, or when a list that passes
    vouches for its signer.  A list that no longer protects is not checked.  Raises FileRefused
    (PIN_MISMATCH).
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
            " says; if it is right, pin it as well (Bootstrap.pins), else reset the trust lists"
            " (TrustListStore.reset) and begin again with the pin",
            fingerprint=signer,
        )


def _unknown(new: TrustList, signer: str, held: TrustLists, bootstrap: Bootstrap) -> FileRefused:
    if held == TrustLists():
        why, instead = "the pin is another one", ""
        if not bootstrap.pins:
            why = "nothing says yet whom to trust"
            instead = ", or trust on first use (Bootstrap.first_use)"
        return FileRefused(
            FileRefusalReason.NO_ANCHOR,
            f"{why}: {new.header.filename} is signed by"
            f" {new.header.signer.subject} with the SHA-256 fingerprint {signer}; compare it with"
            f" what the administrator of the cluster says, and pin it (Bootstrap.pins){instead}",
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
    """Decide whether to accept a new list; does not change `held`.

    `confirmed` are certificates (DER) that a verified TVS has confirmed as SAST: after
    SIGNER_UNKNOWN, ask TVS about the signer and call again.  Pins are checked against the held
    list of the same kind and against the new one (`check_pins`).  Raises FileRefused, with the
    cause.
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
        logger.log(
            logging.INFO if basis is TrustBasis.SERVER else logging.WARNING,
            "%s is accepted: %s; signed by %s, SHA-256 %s, file %s",
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
    """Parse a file that was requested by name as a list of a kind, and decide on it.

    Raises FileRefused, with the cause; NAME_MISMATCH for a list of the other kind.
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
    """The result of `update_lists`: the lists trusted now, and the outcome for each file."""

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
    """Decide on downloaded lists, the CTL first, because it may vouch for the ITL.

    `requested` are the names that they were requested by.  An empty file counts as missing.  A
    refused list leaves the held one in place.
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
