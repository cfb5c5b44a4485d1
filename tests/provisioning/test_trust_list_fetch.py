"""Renewing the trust lists: the order, what is missing, what is refused, what stays."""

from __future__ import annotations

import pytest

from softphone.errors import CertificateUntrusted, TransportError
from softphone.provisioning import StepKind
from softphone.provisioning.fetch_error import DownloadRefused
from softphone.provisioning.file_client import FailoverFileClient
from softphone.provisioning.trust_list_fetch import TrustListFetch
from softphone.trust import (
    Bootstrap,
    FileRefusalReason,
    FileRefused,
    ListKind,
    TrustBasis,
    TrustListStore,
)
from tests.support.cisco import named
from tests.support.cluster import DEVICE, WALL, Shelf, lists_on_shelf, pin, signer, trust_list

CTL, ITL = f"CTL{DEVICE}.tlv", f"ITL{DEVICE}.tlv"
PINNED = Bootstrap(frozenset({pin()}))


class Phone:
    """A device that renews its lists from a shelf."""

    def __init__(self, folder):
        self.store = TrustListStore(folder)
        self.steps = []

    async def renew(self, shelf, bootstrap=None):
        self.steps = []
        renewal = TrustListFetch(
            DEVICE,
            FailoverFileClient([shelf]),
            self.store,
            self.steps.append,
            bootstrap or Bootstrap(),
        )
        return await renewal.fetch_lists(wall=WALL)

    @property
    def kinds(self):
        return [step.kind for step in self.steps]


@pytest.fixture
def phone(tmp_path):
    return Phone(tmp_path / "store")


async def test_the_first_lists_by_a_pin(phone):
    shelf = Shelf(lists_on_shelf())
    lists = await phone.renew(shelf, PINNED)
    assert lists == phone.store.held()
    assert shelf.asked == [CTL, ITL]
    assert phone.kinds == [StepKind.LIST_ACCEPTED] * 2
    first, second = phone.steps
    assert (first.file, first.place, first.by, first.basis) == (CTL, "shelf", pin(), TrustBasis.PIN)
    assert second.basis is TrustBasis.CTL
    assert first.sentence.endswith("its signer is the pinned one")


async def test_the_first_lists_on_first_use(phone):
    await phone.renew(Shelf(lists_on_shelf()), Bootstrap(first_use=True))
    assert [step.basis for step in phone.steps] == [TrustBasis.FIRST_USE, TrustBasis.CTL]


async def test_nobody_named_means_nobody_believed(phone):
    with pytest.raises(FileRefused) as caught:
        await phone.renew(Shelf(lists_on_shelf()))
    assert (caught.value.refusal, caught.value.fingerprint) == (FileRefusalReason.NO_ANCHOR, pin())
    assert phone.store.held().ctl is None


async def test_a_second_time_nothing_has_changed(phone):
    await phone.renew(Shelf(lists_on_shelf()), PINNED)
    await phone.renew(Shelf(lists_on_shelf()))
    assert phone.kinds == [StepKind.LIST_UNCHANGED] * 2


async def test_a_cluster_without_a_ctl_and_an_itl_by_its_other_name(phone):
    shelf = Shelf({"ITLFile.tlv": trust_list(ListKind.ITL)})
    lists = await phone.renew(shelf, PINNED)
    assert (lists.ctl, lists.itl is not None) == (None, True)
    assert shelf.asked == [CTL, ITL, "ITLFile.tlv"]
    assert phone.kinds == [StepKind.LIST_MISSING, StepKind.LIST_ACCEPTED]


async def test_an_empty_file_counts_as_missing(phone):
    shelf = Shelf({CTL: b"", ITL: b"", "ITLFile.tlv": trust_list(ListKind.ITL)})
    assert (await phone.renew(shelf, PINNED)).itl is not None


async def test_lists_that_have_gone_stay_with_us(phone):
    before = await phone.renew(Shelf(lists_on_shelf()), PINNED)
    assert await phone.renew(Shelf()) == before
    assert phone.kinds == [StepKind.LIST_MISSING] * 2


async def test_without_any_list_there_is_none(phone):
    lists = await phone.renew(Shelf())
    assert (lists.ctl, lists.itl) == (None, None)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (lambda: trust_list(ListKind.CTL, by="rogue", minutes=5), "whom no list that is held"),
        (lambda: trust_list(ListKind.CTL, minutes=-5), "older than the one"),
        (lambda: trust_list(ListKind.CTL, minutes=5)[:-1], "malformed"),
        (lambda: trust_list(ListKind.ITL, minutes=5), "was asked for"),
        (lambda: b"<html>not found</html>", ""),
    ],
)
async def test_a_refused_list_is_told_and_replaces_nothing(phone, bad, words):
    before = await phone.renew(Shelf(lists_on_shelf()), PINNED)
    after = await phone.renew(Shelf(lists_on_shelf() | {CTL: bad()}), PINNED)
    assert after == before
    assert phone.kinds == [StepKind.LIST_REFUSED, StepKind.LIST_UNCHANGED]
    assert words in phone.steps[0].sentence


async def test_a_refused_list_is_told_with_its_signer(phone):
    with pytest.raises(FileRefused):
        await phone.renew(Shelf(lists_on_shelf()), Bootstrap(frozenset({"00" * 32})))
    assert phone.kinds == [StepKind.LIST_REFUSED] * 2
    assert [step.by for step in phone.steps] == [pin()] * 2


async def test_a_list_that_is_vouched_for_is_taken(phone):
    await phone.renew(Shelf(lists_on_shelf()), PINNED)
    newer = trust_list(ListKind.CTL, minutes=5)
    assert (await phone.renew(Shelf(lists_on_shelf() | {CTL: newer}))).ctl.data == newer


async def test_a_server_that_refuses_a_list_is_told_of(phone):
    before = await phone.renew(Shelf(lists_on_shelf()), PINNED)
    assert await phone.renew(Shelf(failure=DownloadRefused("500"))) == before
    assert phone.kinds == [StepKind.LIST_REFUSED] * 2


async def test_while_no_server_is_there_the_lists_that_are_held_do(phone):
    shelf = Shelf(failure=TransportError("away"))
    with pytest.raises(TransportError):
        await phone.renew(shelf)
    before = await phone.renew(Shelf(lists_on_shelf()), PINNED)
    assert await phone.renew(shelf) == before
    assert phone.kinds == [StepKind.SERVER_AWAY]


async def test_a_server_whose_certificate_is_refused_ends_it(phone):
    await phone.renew(Shelf(lists_on_shelf()), PINNED)
    with pytest.raises(CertificateUntrusted):
        await phone.renew(Shelf(failure=CertificateUntrusted("who")))


async def test_a_list_may_have_the_name_inside_that_it_was_asked_for_by(phone):
    files = lists_on_shelf()
    for name in (CTL, ITL):
        files[name] = named(files[name], name, signer("token"))
    lists = await phone.renew(Shelf(files), PINNED)
    assert phone.kinds == [StepKind.LIST_ACCEPTED] * 2
    assert (lists.ctl.header.filename, lists.itl.header.filename) == (CTL, ITL)
    # It is held, and read again by another life of the phone.
    assert TrustListStore(phone.store.folder).held() == lists
    await phone.renew(Shelf(files), PINNED)
    assert phone.kinds == [StepKind.LIST_UNCHANGED] * 2
    # The next may have the usual name again.
    await phone.renew(Shelf({CTL: trust_list(ListKind.CTL, minutes=9)}))
    assert phone.kinds[0] is StepKind.LIST_ACCEPTED


@pytest.mark.parametrize("inside", ["ITLCSFBOB.tlv", "itlCSFALICE.tlv", "ITLCSFALICE.tlv.old", CTL])
async def test_a_list_with_the_name_of_another_inside_is_refused(phone, inside):
    data = named(trust_list(ListKind.ITL), inside, signer("token"))
    with pytest.raises(FileRefused) as caught:
        await phone.renew(Shelf({ITL: data}), PINNED)
    assert caught.value.refusal is FileRefusalReason.NAME_MISMATCH


async def test_a_list_asked_for_by_its_usual_name_is_for_no_other_device(phone):
    data = named(trust_list(ListKind.ITL), "ITLCSFALICE.tlv", signer("token"))
    with pytest.raises(FileRefused) as caught:
        await phone.renew(Shelf({"ITLFile.tlv": data}), PINNED)
    assert caught.value.refusal is FileRefusalReason.NAME_MISMATCH
