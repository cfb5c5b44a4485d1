"""Whom a list is believed from: bootstrap, succession, roll-back, and what never replaces one."""

from __future__ import annotations

import logging

import pytest

from softphone.trust.certificate import fingerprint_of
from softphone.trust.lists import (
    Bootstrap,
    FileHashAlgorithm,
    FileRefusalReason,
    FileRefused,
    ListKind,
    ListPolicy,
    RecordFields,
    Role,
    TrustBasis,
    TrustLists,
    accept_list,
    accept_list_file,
    check_pins,
    new_trust_list,
    parse_trust_list,
    update_lists,
)
from tests.support.cisco import TIMESTAMP, certificate, der, named, signer, vector

PIN = Bootstrap(pins=frozenset({fingerprint_of(der("keys/sast"))}))
ITL_PIN = Bootstrap(pins=frozenset({fingerprint_of(der("keys/itlrecovery"))}))
FIRST_USE = Bootstrap(first_use=True)


def read(name: str):
    return parse_trust_list(vector(f"trust/{name}"))


def made(
    by: str,
    *,
    kind: ListKind = ListKind.ITL,
    signers: tuple[str, ...] = (),
    others=((Role.TFTP, "tftp"), (Role.TVS, "tvs")),
    age: int = 0,
    digest: FileHashAlgorithm = FileHashAlgorithm.SHA_512,
):
    """A list signed by `by`, whose SAST records are `signers`, and the signer always."""
    names = dict.fromkeys((by, *signers))
    fields = [RecordFields(Role.SAST, certificate(f"keys/{name}")) for name in names]
    fields += [
        RecordFields(role, certificate(f"keys/{name}") if name else None) for role, name in others
    ]
    data = new_trust_list(kind, fields, signer(by), timestamp=TIMESTAMP - age, digest=digest)
    return parse_trust_list(data)


def refused(new, held=None, **how) -> FileRefused:
    with pytest.raises(FileRefused) as caught:
        accept_list(new, held or TrustLists(), **how)
    return caught.value


CTL = ListKind.CTL
CCM = ((Role.CCM_TFTP, "callmanager"),)


def test_the_first_list_needs_a_pin_or_a_word_and_shows_its_fingerprint():
    error = refused(read("CTLFile-sha512.tlv"))
    assert error.refusal is FileRefusalReason.NO_ANCHOR
    assert error.fingerprint == fingerprint_of(der("keys/sast"))
    assert error.fingerprint in str(error)


def test_a_pinned_signer_is_believed():
    found = accept_list(read("CTLFile-sha512.tlv"), TrustLists(), bootstrap=PIN)
    assert (found.basis, found.signer) == (TrustBasis.PIN, fingerprint_of(der("keys/sast")))
    assert found.notes == ()


def test_another_signer_than_the_pinned_one_is_not():
    error = refused(read("ITLFile-rogue.tlv"), bootstrap=ITL_PIN)
    assert error.refusal is FileRefusalReason.NO_ANCHOR
    assert "the pin is another one" in str(error)


def test_first_use_is_believed_and_logged(caplog):
    with caplog.at_level(logging.WARNING, "softphone.trust"):
        found = accept_list(read("ITLFile-sha512.tlv"), TrustLists(), bootstrap=FIRST_USE)
    assert found.basis is TrustBasis.FIRST_USE
    assert fingerprint_of(der("keys/itlrecovery")) in caplog.text
    assert {each.levelno for each in caplog.records} == {logging.WARNING}


def test_the_first_list_may_be_trusted_for_its_server_and_only_the_first(caplog):
    """As on first use, without the warning: a person or an authority vouches for the server."""
    verified = Bootstrap(verified_server=True)
    with caplog.at_level(logging.INFO, "softphone.trust"):
        found = accept_list(read("ITLFile-sha512.tlv"), TrustLists(), bootstrap=verified)
    assert found.basis is TrustBasis.SERVER
    assert [each.levelno for each in caplog.records if "accepted" in each.message] == [logging.INFO]
    error = refused(made("rogue"), TrustLists().holding(found.trust_list), bootstrap=verified)
    assert error.refusal is FileRefusalReason.SIGNER_UNKNOWN


def test_a_list_over_sha_1_is_reported_and_can_be_forbidden():
    found = accept_list(read("ITLFile-sha1.tlv"), TrustLists(), bootstrap=ITL_PIN)
    assert "SHA-1" in found.notes[0]
    error = refused(read("ITLFile-sha1.tlv"), bootstrap=ITL_PIN, policy=ListPolicy(sha_1=False))
    assert error.refusal is FileRefusalReason.DIGEST_FORBIDDEN


def test_the_ctl_vouches_for_the_itl():
    held = TrustLists(ctl=read("CTLFile-sha512.tlv"))
    assert accept_list(read("ITLFile-sha512.tlv"), held).basis is TrustBasis.CTL


def test_a_ccm_tftp_of_the_ctl_may_sign_an_itl_and_no_ctl():
    held = TrustLists(ctl=read("CTLFile-sha512.tlv"))
    assert accept_list(made("callmanager"), held).basis is TrustBasis.CTL
    assert refused(made("callmanager", kind=CTL), held).refusal is FileRefusalReason.SIGNER_UNKNOWN


def test_an_itl_that_the_ctl_does_not_know_is_refused_even_at_first_use():
    held = TrustLists(ctl=read("CTLFile-sha1.tlv"))
    for bootstrap in (None, FIRST_USE):
        error = refused(read("ITLFile-sha1.tlv"), held, bootstrap=bootstrap)
        assert error.refusal is FileRefusalReason.SIGNER_UNKNOWN
    assert accept_list(read("ITLFile-sha1.tlv"), held, bootstrap=ITL_PIN).basis is TrustBasis.PIN


def test_an_itl_vouches_for_the_next_and_for_the_first_ctl():
    held = TrustLists(itl=made("itlrecovery", signers=("sast",), age=10))
    assert accept_list(made("sast"), held).basis is TrustBasis.ITL
    assert accept_list(made("sast", kind=CTL, others=CCM), held).basis is TrustBasis.ITL
    assert refused(made("rogue"), held).refusal is FileRefusalReason.SIGNER_UNKNOWN


def test_an_itl_does_not_vouch_for_a_later_ctl():
    held = TrustLists(ctl=read("CTLFile-sast4096.tlv"), itl=made("itlrecovery", signers=("sast",)))
    error = refused(made("sast", kind=CTL, others=CCM), held)
    assert error.refusal is FileRefusalReason.SIGNER_UNKNOWN


def test_a_certificate_of_another_role_signs_no_list():
    held = TrustLists(itl=made("itlrecovery", age=10))
    assert refused(made("tftp"), held).refusal is FileRefusalReason.SIGNER_UNKNOWN
    assert refused(made("tvs"), held).refusal is FileRefusalReason.SIGNER_UNKNOWN


def test_neither_pin_nor_first_use_replace_a_list_that_is_held():
    held = TrustLists(itl=made("itlrecovery", age=10))
    pin = Bootstrap(pins=frozenset({fingerprint_of(der("keys/rogue"))}), first_use=True)
    error = refused(read("ITLFile-rogue.tlv"), held, bootstrap=pin)
    assert error.refusal is FileRefusalReason.SIGNER_UNKNOWN


def test_tvs_may_vouch_for_a_signer():
    held = TrustLists(itl=made("itlrecovery", age=10))
    new = made("rogue")
    assert refused(new, held).refusal is FileRefusalReason.SIGNER_UNKNOWN
    confirmed = frozenset({der("keys/rogue")})
    assert accept_list(new, held, confirmed=confirmed).basis is TrustBasis.TVS


def test_an_older_list_is_refused_and_the_same_is_unchanged():
    new, old = made("itlrecovery"), made("itlrecovery", age=10)
    assert refused(old, TrustLists(itl=new)).refusal is FileRefusalReason.OLDER
    assert accept_list(new, TrustLists(itl=old)).basis is TrustBasis.ITL
    assert accept_list(new, TrustLists(itl=new)).basis is TrustBasis.UNCHANGED


def test_a_list_over_sha_1_does_not_follow_a_better_one():
    held = TrustLists(itl=made("itlrecovery", age=10))
    weak = made("itlrecovery", digest=FileHashAlgorithm.SHA_1)
    assert refused(weak, held).refusal is FileRefusalReason.DIGEST_DOWNGRADE


def test_a_list_that_switches_protection_off_is_believed_and_reported():
    held = TrustLists(itl=made("itlrecovery", age=10))
    off = made("itlrecovery", others=((Role.TFTP, ""), (Role.TVS, "")))
    found = accept_list(off, held)
    assert found.basis is TrustBasis.ITL
    assert "protection is switched off" in found.notes[0]


def test_after_the_protection_is_off_a_new_signer_needs_a_person_s_word_again():
    off = made("itlrecovery", others=((Role.TFTP, ""), (Role.TVS, "")), age=10)
    held = TrustLists(itl=off)
    assert refused(made("rogue"), held).refusal is FileRefusalReason.SIGNER_UNKNOWN
    assert accept_list(made("rogue"), held, bootstrap=FIRST_USE).basis is TrustBasis.FIRST_USE


def test_a_cluster_leaves_mixed_mode_with_blank_records():
    held = TrustLists(ctl=made("sast", kind=CTL, others=CCM, age=10))
    left = made("sast", kind=CTL, others=((Role.CCM_TFTP, ""),))
    found = accept_list(left, held)
    assert "left mixed mode" in found.notes[0]
    assert held.holding(left).certificates(Role.CCM) == ()


def test_the_ctl_comes_before_the_itl_whatever_the_order_of_the_downloads():
    downloads = {
        ListKind.ITL: vector("trust/ITLFile-sha512.tlv"),
        ListKind.CTL: vector("trust/CTLFile-sha512.tlv"),
    }
    found = update_lists(TrustLists(), downloads, bootstrap=PIN)
    assert [(kind, outcome.basis) for kind, outcome in found.outcomes] == [
        (ListKind.CTL, TrustBasis.PIN),
        (ListKind.ITL, TrustBasis.CTL),
    ]
    assert found.lists.itl.data == downloads[ListKind.ITL]


def test_a_refused_list_never_replaces_the_one_that_is_held():
    held = TrustLists(read("CTLFile-sha512.tlv"), read("ITLFile-sha512.tlv"))
    downloads = {ListKind.CTL: b"junk", ListKind.ITL: vector("trust/ITLFile-rogue.tlv")}
    found = update_lists(held, downloads, bootstrap=FIRST_USE)
    assert found.lists == held
    assert [outcome.refusal for _, outcome in found.outcomes] == [
        FileRefusalReason.NOT_SIGNED,
        FileRefusalReason.SIGNER_UNKNOWN,
    ]


def test_an_empty_file_counts_as_missing_and_a_list_under_the_other_s_name_is_refused():
    data = vector("trust/ITLFile-sha512.tlv")
    found = update_lists(TrustLists(), {ListKind.CTL: data, ListKind.ITL: b""}, bootstrap=FIRST_USE)
    assert found.lists == TrustLists()
    ((_, outcome),) = found.outcomes
    assert outcome.refusal is FileRefusalReason.NAME_MISMATCH


def test_the_ctl_alone_says_who_the_call_servers_are():
    lists = TrustLists(read("CTLFile-sha512.tlv"), read("ITLFile-sha512.tlv"))
    ec = der("keys/callmanager-ec")
    assert TrustLists(itl=lists.itl).basis(ec, Role.CCM) is TrustBasis.ITL
    assert lists.basis(ec, Role.CCM) is None
    assert lists.basis(der("keys/callmanager"), Role.CCM) is TrustBasis.CTL
    assert lists.basis(ec, Role.TFTP) is TrustBasis.ITL
    assert lists.certificates(Role.CCM) == (der("keys/callmanager"),)


def test_what_no_list_names_is_not_believed():
    lists = TrustLists(read("CTLFile-sha512.tlv"), read("ITLFile-sha512.tlv"))
    assert [role for role in Role if lists.basis(der("keys/rogue"), role)] == []
    assert lists.basis(der("keys/tvs"), Role.TVS) is TrustBasis.ITL
    assert lists.basis(der("keys/tvs"), Role.CAPF) is None


def test_downloads_may_have_the_names_inside_that_were_asked_for():
    name = "ITLCSFALICE.tlv"
    data = named(vector("trust/ITLFile-sha512.tlv"), name, signer("itlrecovery"))
    downloads = {ListKind.ITL: data}
    found = update_lists(TrustLists(), downloads, bootstrap=ITL_PIN, requested={ListKind.ITL: name})
    assert found.lists.itl.data == data
    for requested in (None, {}, {ListKind.CTL: name}, {ListKind.ITL: "ITLCSFBOB.tlv"}):
        found = update_lists(TrustLists(), downloads, bootstrap=ITL_PIN, requested=requested)
        ((_, outcome),) = found.outcomes
        assert outcome.refusal is FileRefusalReason.NAME_MISMATCH


def test_no_pin_replaces_a_ctl_that_is_held_either():
    held = TrustLists(ctl=made("sast", kind=CTL, others=CCM, age=10))
    pins = frozenset(fingerprint_of(der(f"keys/{name}")) for name in ("sast", "rogue"))
    error = refused(made("rogue", kind=CTL, others=CCM), held, bootstrap=Bootstrap(pins=pins))
    assert error.refusal is FileRefusalReason.SIGNER_UNKNOWN


@pytest.mark.parametrize("kind", list(ListKind))
def test_of_two_lists_of_strangers_a_pin_finds_the_one_that_is_asked_about(kind):
    held = TrustLists(made("sast", kind=CTL, others=CCM), made("itlrecovery"))
    pin = Bootstrap(pins=frozenset({fingerprint_of(der("keys/rogue"))}))
    with pytest.raises(FileRefused, match=f"the {kind.value.upper()} is signed by") as caught:
        check_pins(held, pin, only=kind)
    assert caught.value.refusal is FileRefusalReason.PIN_MISMATCH


def test_what_is_forbidden_or_confirmed_is_so_for_downloads_too():
    data = vector("trust/ITLFile-sha1.tlv")
    strict = ListPolicy(sha_1=False)
    with pytest.raises(FileRefused) as caught:
        accept_list_file(ListKind.ITL, data, TrustLists(), bootstrap=ITL_PIN, policy=strict)
    assert caught.value.refusal is FileRefusalReason.DIGEST_FORBIDDEN
    downloads = {ListKind.ITL: data}
    found = update_lists(TrustLists(), downloads, bootstrap=ITL_PIN, policy=strict)
    ((_, outcome),) = found.outcomes
    assert outcome.refusal is FileRefusalReason.DIGEST_FORBIDDEN
    held = TrustLists(itl=made("itlrecovery", age=10))
    confirmed = frozenset({der("keys/rogue")})
    found = update_lists(held, {ListKind.ITL: made("rogue").data}, confirmed=confirmed)
    ((_, outcome),) = found.outcomes
    assert outcome.basis is TrustBasis.TVS


def test_every_role_of_either_list_is_told_once():
    lists = TrustLists(read("CTLFile-sha512.tlv"), read("ITLFile-sha512.tlv"))
    assert lists.roles(der("keys/rogue")) == TrustLists().roles(der("keys/tvs")) == ()
    assert lists.roles(der("keys/tvs")) == (Role.TVS,)
    assert lists.roles(der("keys/callmanager")) == (Role.CCM_TFTP,)


def test_a_list_that_is_held_already_is_asked_for_its_own_pin_alone():
    held = TrustLists(made("sast", kind=CTL, others=CCM), read("ITLFile-sha1.tlv"))
    found = accept_list(held.itl, held, bootstrap=ITL_PIN)
    assert (found.basis, found.signer) == (
        TrustBasis.UNCHANGED,
        fingerprint_of(der("keys/itlrecovery")),
    )
    assert "SHA-1" in found.notes[0]
