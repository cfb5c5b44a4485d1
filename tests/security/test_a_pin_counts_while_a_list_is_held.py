"""Who names the signer of the lists is not served by a list of somebody else that is held already.

A list that was taken on first use may be anybody's: a pin that is given later is held against it.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from softphone.provisioning.file_client import FailoverFileClient
from softphone.provisioning.trust_list_fetch import TrustListFetch
from softphone.trust import (
    Bootstrap,
    FileRefusalReason,
    FileRefused,
    ListKind,
    RecordFields,
    Role,
    TrustBasis,
    TrustLists,
    TrustListStore,
    accept_list,
    fingerprint_of,
    new_trust_list,
    parse_trust_list,
)
from softphone.trust.lists import check_pins, update_lists
from tests.support.cisco import TIMESTAMP, certificate, der, signer
from tests.support.cluster import DEVICE, Shelf

WALL = datetime(2027, 1, 1, tzinfo=UTC)
CTL, ITL = ListKind.CTL, ListKind.ITL
FIRST_USE = Bootstrap(first_use=True)
MISMATCH = FileRefusalReason.PIN_MISMATCH


def made(kind, by, *also, age=0, role=None) -> bytes:
    """A list signed by `by`, with `also` beside it as SAST."""
    names = dict.fromkeys((by, *also))
    records = [RecordFields(Role.SAST, certificate(f"keys/{name}")) for name in names]
    role = role or (Role.CCM_TFTP if kind is CTL else Role.TFTP)
    records.append(RecordFields(role, certificate("keys/tftp")))
    return new_trust_list(kind, records, signer(by), timestamp=TIMESTAMP - age)


def pin(*names) -> Bootstrap:
    return Bootstrap(frozenset(fingerprint_of(der(f"keys/{name}")) for name in names))


@pytest.fixture
def store(tmp_path):
    return TrustListStore(tmp_path / "store")


def refused(action, *arguments, **how) -> FileRefused:
    with pytest.raises(FileRefused) as caught:
        action(*arguments, **how)
    return caught.value


async def boot(store, shelf, bootstrap):
    fetch = TrustListFetch(DEVICE, FailoverFileClient([shelf]), store, lambda step: None, bootstrap)
    return await fetch.fetch_lists(wall=WALL)


@pytest.mark.parametrize("served", ["the true list", "the list that is held", "nothing"])
async def test_a_boot_with_a_pin_does_not_start_from_the_list_of_another(store, served):
    mine = made(ITL, "rogue", age=10)
    store.accept_list(ITL, mine, wall=WALL, bootstrap=FIRST_USE)
    files = {
        "the true list": {f"ITL{DEVICE}.tlv": made(ITL, "sast")},
        "the list that is held": {f"ITL{DEVICE}.tlv": mine},
        "nothing": {},
    }[served]
    shelf = Shelf(files)
    with pytest.raises(FileRefused) as caught:
        await boot(store, shelf, pin("sast"))
    assert caught.value.refusal is MISMATCH
    assert caught.value.fingerprint == fingerprint_of(der("keys/rogue"))
    for words in ("compare this fingerprint", "pin it as well", "TrustListStore.reset"):
        assert words in str(caught.value)
    assert shelf.asked == []
    assert store.held().itl.data == mine
    # Without a pin, and with the right one, it starts.
    assert (await boot(store, Shelf({}), Bootstrap())).itl.data == mine
    assert (await boot(store, Shelf({}), pin("rogue"))).itl.data == mine


@pytest.mark.parametrize("kind", [CTL, ITL])
def test_offering_the_list_that_is_held_does_not_get_it_past_a_pin(store, kind):
    mine = made(kind, "rogue")
    store.accept_list(kind, mine, wall=WALL, bootstrap=FIRST_USE)
    for action in (store.check, lambda *a, **b: store.accept_list(*a, wall=WALL, **b)):
        assert refused(action, kind, mine, bootstrap=pin("sast")).refusal is MISMATCH
        assert action(kind, mine, bootstrap=pin("rogue")).basis is TrustBasis.UNCHANGED
        # One pin that fits is enough.
        assert action(kind, mine, bootstrap=pin("sast", "rogue")).basis is TrustBasis.UNCHANGED


def test_a_pin_does_not_let_the_held_list_vouch_for_the_next_of_its_kind(store):
    # The true signer is in the list of the false one, who could have copied it from anywhere.
    store.accept_list(ITL, made(ITL, "rogue", "sast", age=9), wall=WALL, bootstrap=FIRST_USE)
    for by in ("rogue", "sast"):
        error = refused(store.accept_list, ITL, made(ITL, by), wall=WALL, bootstrap=pin("sast"))
        assert error.refusal is MISMATCH


def test_the_list_of_another_beside_the_true_one_is_told_of(store):
    # The false ITL names the true signer, and so vouches for the cluster's first CTL.
    store.accept_list(ITL, made(ITL, "rogue", "sast"), wall=WALL, bootstrap=FIRST_USE)
    found = store.accept_list(CTL, made(CTL, "sast"), wall=WALL, bootstrap=pin("sast"))
    assert found.basis is TrustBasis.ITL
    error = refused(store.check_pins, pin("sast"))
    assert (error.refusal, error.fingerprint) == (MISMATCH, fingerprint_of(der("keys/rogue")))
    # The true ITL takes its place on the CTL's word, when no pin stands in the way.
    store.accept_list(ITL, made(ITL, "sast"), wall=WALL)
    store.check_pins(pin("sast"))


def test_a_false_list_that_protects_nothing_does_not_vouch_past_a_pin(store):
    # It names no call server, so that a pin may begin again; its SAST still signs what follows.
    store.accept_list(CTL, made(CTL, "rogue", role=Role.CAPF), wall=WALL, bootstrap=FIRST_USE)
    store.check_pins(pin("sast"))
    error = refused(store.accept_list, ITL, made(ITL, "rogue"), wall=WALL, bootstrap=pin("sast"))
    assert error.refusal is MISMATCH
    found = store.accept_list(ITL, made(ITL, "sast"), wall=WALL, bootstrap=pin("sast"))
    assert found.basis is TrustBasis.PIN


def test_the_pinned_signer_speaks_for_those_that_come_after_him(store):
    bootstrap = pin("sast")
    steps = [
        (CTL, made(CTL, "sast", "itlrecovery", age=9), TrustBasis.PIN),
        (ITL, made(ITL, "itlrecovery", age=9), TrustBasis.CTL),
        # The cluster gets another signer, and then the old one is in no list any more.
        (CTL, made(CTL, "itlrecovery", "sast4096", age=8), TrustBasis.CTL),
        (CTL, made(CTL, "sast4096", age=7), TrustBasis.CTL),
        (ITL, made(ITL, "sast4096", age=7), TrustBasis.CTL),
    ]
    for kind, data, basis in steps:
        assert store.accept_list(kind, data, wall=WALL, bootstrap=bootstrap).basis is basis
        store.check_pins(bootstrap)
    store.check_pins(pin("sast4096"))
    assert refused(store.check_pins, pin("tvs")).refusal is MISMATCH
    # It is in the file beside the lists; without that each is on its own signer's word.
    history = store.folder / "trust-lists.json"
    told = json.loads(history.read_text())
    assert all(fingerprint_of(der("keys/sast")) in each["vouchers"] for each in told.values())
    for damaged in ("{", "[]", json.dumps({key: {"vouchers": 7} for key in told})):
        history.write_text(damaged)
        assert refused(store.check_pins, bootstrap).refusal is MISMATCH
        store.check_pins(pin("sast4096"))


def test_a_tvs_speaks_for_a_pinned_signer_only_where_no_other_list_could_have_named_it():
    held = TrustLists(parse_trust_list(made(CTL, "sast")), parse_trust_list(made(ITL, "rogue")))
    new = parse_trust_list(made(ITL, "tvs"))
    confirmed = frozenset({der("keys/tvs")})
    found = accept_list(new, held, confirmed=confirmed)
    assert (found.basis, found.trust_list.vouchers) == (TrustBasis.TVS, frozenset())
    alone = TrustLists(ctl=held.ctl)
    found = accept_list(new, alone, confirmed=confirmed, bootstrap=pin("sast"))
    assert found.trust_list.vouchers == pin("sast").pins


def test_a_list_of_the_pinned_signer_vouches_for_the_one_beside_it():
    itl = parse_trust_list(made(ITL, "itlrecovery"))
    for also, fits in ((("itlrecovery",), True), ((), False)):
        held = TrustLists(parse_trust_list(made(CTL, "sast", *also)), itl)
        if fits:
            check_pins(held, pin("sast"))
        else:
            assert refused(check_pins, held, pin("sast")).refusal is MISMATCH
        # An ITL of the pinned signer does so for the CTL that it names the signer of.
        held = TrustLists(held.ctl, parse_trust_list(made(ITL, "itlrecovery", "sast")))
        check_pins(held, pin("itlrecovery"))
    alone = TrustLists(ctl=held.ctl)
    assert refused(check_pins, alone, pin("itlrecovery")).refusal is MISMATCH


def test_the_same_list_again_leaves_on_whose_word_it_is():
    data = made(ITL, "itlrecovery")
    held = TrustLists(parse_trust_list(made(CTL, "sast", "itlrecovery")))
    held = update_lists(held, {ITL: data}).lists
    assert held.itl.vouchers == pin("sast").pins
    again = update_lists(held, {ITL: data}, bootstrap=pin("sast")).lists
    assert again.itl.vouchers == pin("sast").pins


def test_nothing_is_compared_where_there_is_no_pin_or_no_list():
    check_pins(TrustLists(), pin("sast"))
    held = TrustLists(itl=parse_trust_list(made(ITL, "rogue")))
    for bootstrap in (Bootstrap(), FIRST_USE):
        check_pins(held, bootstrap)
    check_pins(held, pin("sast"), only=CTL)
    assert refused(check_pins, held, pin("sast"), only=ITL).refusal is MISMATCH


def test_a_list_that_names_its_file_servers_no_more_leaves_the_way_to_a_pin(store):
    blank = new_trust_list(
        ITL,
        [RecordFields(Role.SAST, certificate("keys/rogue")), RecordFields(Role.TFTP)],
        signer("rogue"),
        timestamp=TIMESTAMP,
    )
    store.accept_list(ITL, blank, wall=WALL, bootstrap=FIRST_USE)
    found = store.accept_list(ITL, made(ITL, "sast"), wall=WALL, bootstrap=pin("sast"))
    assert found.basis is TrustBasis.PIN
