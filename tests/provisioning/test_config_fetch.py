"""Fetching a configuration: which file is due, what is kept, and what ends it."""

from __future__ import annotations

import pytest

from softphone.errors import TransportError
from softphone.provisioning import ConfigStore, StepKind
from softphone.provisioning.config_fetch import ConfigFetch, plain_is_due
from softphone.provisioning.fetch_error import DownloadRefused, FileMissing
from softphone.provisioning.file_client import FailoverFileClient
from softphone.trust import (
    Bootstrap,
    FileHashAlgorithm,
    FileRefusalReason,
    FileRefused,
    ListKind,
    RecordFields,
    Role,
    TrustLists,
    update_lists,
)
from tests.support.cluster import (
    DEVICE,
    Shelf,
    announced,
    content,
    identity,
    insecure,
    pin,
    sealed,
    signed,
    signer,
    trust_list,
)

PLAIN, NAME, SEALED = (f"{DEVICE}.cnf.xml{end}" for end in ("", ".sgn", ".enc.sgn"))
PINNED = Bootstrap(frozenset({pin()}))


def believed(**lists: bytes) -> TrustLists:
    downloads = {ListKind(kind): data for kind, data in lists.items()}
    return update_lists(TrustLists(), downloads, bootstrap=PINNED).lists


@pytest.fixture(scope="module")
def lists() -> TrustLists:
    return believed(ctl=trust_list(ListKind.CTL), itl=trust_list(ListKind.ITL))


class Phone:
    def __init__(self, folder, device=DEVICE):
        self.store = ConfigStore(folder)
        self.device = device
        self.steps = []

    def fetch(self, shelf):
        self.steps = []
        return ConfigFetch(self.device, FailoverFileClient([shelf]), self.store, self.steps.append)

    @property
    def kinds(self):
        return [step.kind for step in self.steps]


@pytest.fixture
def phone(tmp_path):
    return Phone(tmp_path / "store")


async def refused(awaitable) -> FileRefusalReason:
    with pytest.raises(FileRefused) as caught:
        await awaitable
    return caught.value.refusal


# Which file is due


async def test_with_lists_a_file_in_clear_is_not_even_asked_for(phone, lists):
    shelf = Shelf({PLAIN: insecure().text()})
    with pytest.raises(FileMissing, match="device's name, CSFALICE, letter by letter"):
        await phone.fetch(shelf).fetch_config(lists, ())
    assert shelf.asked == [NAME]


async def test_a_file_in_clear_under_the_signed_name_is_refused(phone, lists):
    shelf = Shelf({NAME: insecure().text()})
    assert await refused(phone.fetch(shelf).fetch_config(lists, ())) is FileRefusalReason.NOT_SIGNED
    assert phone.store.load_accepted(NAME) is None


async def test_without_lists_the_file_in_clear_is_due(phone):
    shelf = Shelf({PLAIN: insecure().text()})
    found = await phone.fetch(shelf).fetch_config(TrustLists(), ())
    assert found.config.lines[0].name == "alice"
    assert shelf.asked == [PLAIN]


def test_a_list_that_has_switched_protection_off_lets_files_in_clear_through(lists):
    bare = [RecordFields(Role.SAST, signer("token").certificate), RecordFields(Role.TFTP)]
    off = believed(itl=trust_list(ListKind.ITL, fields=bare))
    assert plain_is_due(off)
    assert plain_is_due(TrustLists())
    assert not plain_is_due(lists)
    assert not plain_is_due(off.holding(lists.ctl))


async def test_a_hardware_phone_may_get_the_default_configuration(tmp_path, lists):
    phone = Phone(tmp_path, "SEP001122334455")
    default = {"XMLDefault.cnf.xml.sgn": signed(content().text(), "XMLDefault.cnf.xml.sgn")}
    shelf = Shelf(default)
    found = await phone.fetch(shelf).fetch_config(lists, ())
    assert found.name == "XMLDefault.cnf.xml.sgn"
    assert shelf.asked == ["SEP001122334455.cnf.xml.sgn", "XMLDefault.cnf.xml.sgn"]
    with pytest.raises(FileMissing, match=r"SEP001122334455\.cnf\.xml\.sgn"):
        await phone.fetch(Shelf()).fetch_config(lists, ())
    soft = Phone(tmp_path)
    with pytest.raises(FileMissing):
        await soft.fetch(Shelf(default)).fetch_config(lists, ())


# Good ones


async def test_a_signed_file_is_verified_told_and_kept(phone, lists):
    data = signed(content().text())
    found = await phone.fetch(Shelf({NAME: data})).fetch_config(lists, ())
    (step,) = phone.steps
    assert (step.kind, step.file, step.place) == (StepKind.CONFIGURATION_VERIFIED, NAME, "shelf")
    assert step.by == found.fingerprint
    assert phone.store.load_accepted(NAME) == data
    assert phone.store.load_last_good(DEVICE) is None


async def test_an_encrypted_file_is_kept_as_it_came(phone, lists):
    data = sealed(content().text())
    found = await phone.fetch(Shelf({SEALED: data})).fetch_encrypted_config(lists, (identity(),))
    assert found.encrypted
    assert phone.store.load_accepted(SEALED) == data


async def test_an_encrypted_file_that_does_not_open_is_not_kept(phone, lists):
    shelf = Shelf({SEALED: sealed(content().text())})
    sealed_for_other = phone.fetch(shelf).fetch_encrypted_config(lists, (identity("CSFBOB"),))
    assert await refused(sealed_for_other) is FileRefusalReason.CANNOT_DECRYPT
    assert phone.store.load_accepted(SEALED) is None


async def test_a_whole_configuration_is_settled_and_a_stub_is_not(phone, lists):
    fetch = phone.fetch(Shelf({NAME: signed(content().text())}))
    whole = await fetch.fetch_config(lists, ())
    fetch.store_last_good(whole)
    assert phone.store.load_last_good(DEVICE) == whole.data
    stub = await phone.fetch(Shelf({NAME: signed(announced().stub(), minutes=1)})).fetch_config(
        lists, ()
    )
    with pytest.raises(FileRefused, match="no whole configuration"):
        fetch.store_last_good(stub)
    assert phone.store.load_last_good(DEVICE) == whole.data


async def test_a_configuration_that_no_phone_can_work_with_is_not_settled(phone, lists):
    text = content(nodes=()).text()
    fetch = phone.fetch(Shelf({NAME: signed(text)}))
    found = await fetch.fetch_config(lists, ())
    with pytest.raises(FileRefused, match="lacks a call server"):
        fetch.store_last_good(found)


# Replays


@pytest.mark.parametrize(
    "stale",
    [
        lambda: signed(content(expires=60).text(), minutes=-1),
        lambda: signed(content(expires=60).text(), minutes=9, digest=FileHashAlgorithm.SHA_1),
    ],
    ids=["older", "weaker"],
)
async def test_an_older_or_weaker_file_is_told_of_and_the_newer_stays(phone, lists, stale):
    newer = signed(content().text())
    await phone.fetch(Shelf({NAME: newer})).fetch_config(lists, ())
    found = await phone.fetch(Shelf({NAME: stale()})).fetch_config(lists, ())
    assert found.config.timers.register_expires == 120
    assert phone.kinds == [StepKind.CONFIGURATION_REPLAYED]
    assert "stays in use" in phone.steps[0].sentence
    assert phone.store.load_accepted(NAME) == newer


async def test_a_newer_file_takes_the_place_of_the_older(phone, lists):
    await phone.fetch(Shelf({NAME: signed(content().text())})).fetch_config(lists, ())
    newer = signed(content(expires=60).text(), minutes=1)
    found = await phone.fetch(Shelf({NAME: newer})).fetch_config(lists, ())
    assert found.config.timers.register_expires == 60


# Nobody there


async def test_while_no_server_is_there_the_last_good_one_is_used(phone, lists):
    away = Shelf(failure=TransportError("nobody there"))
    with pytest.raises(TransportError, match="nobody there"):
        await phone.fetch(away).fetch_config(lists, ())
    fetch = phone.fetch(Shelf({SEALED: sealed(content().text())}))
    fetch.store_last_good(await fetch.fetch_encrypted_config(lists, (identity(),)))
    for ask in (phone.fetch(away).fetch_config, phone.fetch(away).fetch_encrypted_config):
        found = await ask(lists, (identity(),))
        assert (found.kept, found.encrypted, found.config.full) == (True, True, True)
    assert phone.kinds[-1] is StepKind.CONFIGURATION_KEPT


async def test_what_is_kept_is_refused_once_it_was_changed(phone, lists):
    fetch = phone.fetch(Shelf({NAME: signed(content().text())}))
    fetch.store_last_good(await fetch.fetch_config(lists, ()))
    path = phone.store.folder / f"{DEVICE}.last-good"
    path.write_bytes(path.read_bytes().replace(b"alice", b"mallo"))
    away = Shelf(failure=TransportError("nobody there"))
    assert (
        await refused(phone.fetch(away).fetch_config(lists, ()))
        is FileRefusalReason.SIGNATURE_INVALID
    )


@pytest.mark.parametrize("error", [DownloadRefused("500"), FileMissing("none")])
async def test_a_server_that_says_no_is_not_one_that_is_away(phone, lists, error):
    fetch = phone.fetch(Shelf({NAME: signed(content().text())}))
    fetch.store_last_good(await fetch.fetch_config(lists, ()))
    with pytest.raises(type(error)):
        await phone.fetch(Shelf(failure=error)).fetch_config(lists, ())
