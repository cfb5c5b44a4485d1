"""A trust list, changed once in every byte or cut at every one, leaves the store as it was.

And nothing but a refusal comes out, however the list was to be believed.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from softphone.trust import (
    Bootstrap,
    FileRefused,
    ListKind,
    RecordFields,
    Role,
    TrustListStore,
    fingerprint_of,
    new_trust_list,
)
from tests.support.cisco import TIMESTAMP, certificate, der, signer

WALL = datetime(2027, 1, 1, tzinfo=UTC)
PIN = Bootstrap(pins=frozenset({fingerprint_of(der("keys/sast"))}))
FIRST_USE = Bootstrap(first_use=True)


def made(age: int = 0) -> bytes:
    fields = [RecordFields(Role.SAST, certificate("keys/sast"))]
    return new_trust_list(ListKind.ITL, fields, signer("sast"), timestamp=TIMESTAMP - age)


OLD, NEW = made(10), made()


def damaged():
    """Every byte changed once, in turn in another bit; then every prefix."""
    for position in range(len(NEW)):
        forged = bytearray(NEW)
        forged[position] ^= 1 << position % 8
        yield bytes(forged)
    for end in range(len(NEW)):
        yield NEW[:end]


@pytest.mark.parametrize(
    ("bootstrap", "held"), [(PIN, True), (FIRST_USE, False)], ids=["over a good one", "first use"]
)
def test_no_damaged_list_is_stored(tmp_path, bootstrap, held):
    store = TrustListStore(tmp_path / "store")
    if held:
        store.accept_list(ListKind.ITL, OLD, wall=WALL, bootstrap=PIN)
    path = store.folder / ListKind.ITL.filename
    refused = 0
    for data in damaged():
        try:
            store.accept_list(ListKind.ITL, data, wall=WALL, bootstrap=bootstrap)
        except FileRefused:
            refused += 1
        assert path.exists() == held
    assert refused == 2 * len(NEW)
    if held:
        assert path.read_bytes() == OLD
    found = store.accept_list(ListKind.ITL, NEW, wall=WALL, bootstrap=bootstrap)
    assert found.trust_list.data == NEW
