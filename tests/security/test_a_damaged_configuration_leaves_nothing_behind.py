"""A configuration that is cut, or changed in one byte, anywhere: refused, and nothing is stored."""

from __future__ import annotations

import pytest

from softphone.provisioning import ConfigStore
from softphone.provisioning.config_fetch import ConfigFetch
from softphone.provisioning.file_client import FailoverFileClient
from softphone.trust import Bootstrap, FileRefused, ListKind, TrustLists, update_lists
from tests.support.cluster import (
    DEVICE,
    Shelf,
    content,
    identity,
    pin,
    sealed,
    signed,
    stored,
    trust_list,
)

NAME, SEALED = f"{DEVICE}.cnf.xml.sgn", f"{DEVICE}.cnf.xml.enc.sgn"


@pytest.fixture(scope="module")
def lists() -> TrustLists:
    downloads = {kind: trust_list(kind) for kind in ListKind}
    return update_lists(TrustLists(), downloads, bootstrap=Bootstrap(frozenset({pin()}))).lists


def damages(data: bytes):
    for end in range(len(data)):
        yield data[:end]
    for position in range(len(data)):
        yield data[:position] + bytes((data[position] ^ 0x01,)) + data[position + 1 :]
    for more in (b"\0", b"\r\n", data):
        yield data + more


@pytest.mark.parametrize("kind", ["signed", "sealed"])
async def test_anywhere(tmp_path, lists, kind):
    folder = tmp_path / "store"
    shelf = Shelf()
    fetch = ConfigFetch(DEVICE, FailoverFileClient([shelf]), ConfigStore(folder), lambda step: None)
    text = content(expires=60).text()
    good, name = (signed(text), NAME) if kind == "signed" else (sealed(text), SEALED)
    ask = fetch.fetch_config if kind == "signed" else fetch.fetch_encrypted_config
    count = 0
    for data in damages(good):
        shelf.files[name] = data
        with pytest.raises(FileRefused):
            await ask(lists, (identity(),))
        count += 1
    assert count == 2 * len(good) + 3
    assert not folder.exists()


async def test_what_was_good_before_stays(tmp_path, lists):
    shelf = Shelf({NAME: signed(content().text())})
    fetch = ConfigFetch(
        DEVICE, FailoverFileClient([shelf]), ConfigStore(tmp_path), lambda step: None
    )
    fetch.store_last_good(await fetch.fetch_config(lists, ()))
    before = stored(tmp_path)
    newer = signed(content(expires=60).text(), minutes=5)
    for data in (newer[:-1], newer[: len(newer) // 2], newer.replace(b"alice", b"mallo")):
        shelf.files[NAME] = data
        with pytest.raises(FileRefused):
            await fetch.fetch_config(lists, ())
        assert stored(tmp_path) == before
