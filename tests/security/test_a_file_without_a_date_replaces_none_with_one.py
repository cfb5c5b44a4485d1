"""Whoever strikes out the date of an old file does not get it past the one that is held.

The signer may have signed such a file once, before he wrote dates: it is then the oldest of all.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from softphone.provisioning import LastAccepted, StepKind, sign_file, verify_file
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
from softphone.trust.lists import FileHashAlgorithm
from tests.support import cluster
from tests.support.cisco import TIMESTAMP, certificate, der, signer, vector, without_timestamp

NAME = "CSFALICE.cnf.xml.sgn"
WALL = datetime(2027, 1, 1, tzinfo=UTC)


def made(kind, role, *, age=0):
    records = [
        RecordFields(Role.SAST, certificate("keys/sast")),
        RecordFields(role, certificate("keys/tftp")),
    ]
    stamp = TIMESTAMP - age
    return new_trust_list(kind, records, signer("sast"), timestamp=stamp, signer_version=None)


@pytest.mark.parametrize(
    ("kind", "role"), [(ListKind.CTL, Role.CCM_TFTP), (ListKind.ITL, Role.TFTP)]
)
def test_a_list_without_a_date(kind, role, tmp_path):
    dated, old = made(kind, role), made(kind, role, age=100)
    bare = without_timestamp(old, signer("sast"))
    store = TrustListStore(tmp_path / "store")
    pin = Bootstrap(pins=frozenset({fingerprint_of(der("keys/sast"))}))
    # By itself it is good, and the next may have a date.
    assert store.accept_list(kind, bare, wall=WALL, bootstrap=pin).basis is TrustBasis.PIN
    assert store.accept_list(kind, dated, wall=WALL).basis is TrustBasis(kind.value)
    before = store.held()
    for bootstrap in (None, pin, Bootstrap(first_use=True)):
        with pytest.raises(FileRefused) as caught:
            store.accept_list(kind, bare, wall=WALL, bootstrap=bootstrap)
        assert caught.value.refusal is FileRefusalReason.OLDER
    assert store.held() == before
    # Among lists without a date none is older.
    other = parse_trust_list(without_timestamp(made(kind, Role.CAPF), signer("sast")))
    held = TrustLists().holding(parse_trust_list(bare))
    assert accept_list(other, held).basis is TrustBasis(kind.value)


def test_a_configuration_without_a_date():
    lists = TrustLists(itl=parse_trust_list(vector("trust/ITLFile-sha512.tlv")))
    bare = without_timestamp(
        sign_file(b"<device/>", NAME, signer("tftp"), timestamp=TIMESTAMP), signer("tftp")
    )
    assert verify_file(bare, NAME, lists).accepted.timestamp is None
    undated = LastAccepted(None, FileHashAlgorithm.SHA_512)
    assert verify_file(bare, NAME, lists, last=undated).body == b"<device/>"
    for then in (0, 1, TIMESTAMP):
        with pytest.raises(FileRefused) as caught:
            verify_file(bare, NAME, lists, last=LastAccepted(then, FileHashAlgorithm.SHA_512))
        assert caught.value.refusal is FileRefusalReason.OLDER


async def test_a_boot_goes_on_with_the_configuration_that_has_one(tmp_path):
    name = f"{cluster.DEVICE}.cnf.xml.sgn"
    dated = cluster.signed(cluster.content(expires=300).text(), minutes=5)
    shelf = cluster.full_shelf(**{name: dated})
    await cluster.boot_from(shelf, tmp_path)
    before = cluster.configurations(tmp_path)
    old = cluster.signed(cluster.content(expires=60).text())
    shelf.files[name] = without_timestamp(old, cluster.signer("tftp"))
    steps = []
    booted = await cluster.boot_from(shelf, tmp_path, tell=steps.append)
    assert booted.config.timers.register_expires == 300
    assert cluster.configurations(tmp_path) == before
    assert [step.kind for step in steps].count(StepKind.CONFIGURATION_REPLAYED) == 1
