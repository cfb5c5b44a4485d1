"""Once a list is held, whoever it does not name cannot bring the next, whatever he brings along.

Not with a first use that is still switched on, nor by a list of the other kind, nor by an old one.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from softphone.trust import (
    Bootstrap,
    FileRefusalReason,
    FileRefused,
    ListKind,
    RecordFields,
    Role,
    TrustListStore,
    fingerprint_of,
    new_trust_list,
)
from tests.support.cisco import TIMESTAMP, certificate, der, signer

SENTENCE = (
    r"whom no list that is held names; if the cluster was rebuilt, reset|serves an old list again"
)
"""What the person in front of it is told."""

WALL = datetime(2027, 1, 1, tzinfo=UTC)
FIRST_USE = Bootstrap(first_use=True)
ITL, CTL = ListKind.ITL, ListKind.CTL


def made(kind, by, *also, role=Role.TFTP, age=0):
    names = dict.fromkeys((by, *also))
    fields = [RecordFields(Role.SAST, certificate(f"keys/{name}")) for name in names]
    fields.append(RecordFields(role, certificate("keys/tftp")))
    return new_trust_list(kind, fields, signer(by), timestamp=TIMESTAMP - age)


@pytest.fixture
def store(tmp_path):
    kept = TrustListStore(tmp_path / "store")
    pin = Bootstrap(pins=frozenset({fingerprint_of(der("keys/sast"))}))
    kept.accept_list(ITL, made(ITL, "sast", age=5), wall=WALL, bootstrap=pin)
    return kept


def refused(store, kind, data, **how):
    before = store.held()
    with pytest.raises(FileRefused, match=SENTENCE) as caught:
        store.accept_list(kind, data, wall=WALL, bootstrap=FIRST_USE, **how)
    assert store.held() == before
    return caught.value


def test_a_stranger_is_told_by_his_fingerprint(store):
    error = refused(store, ITL, made(ITL, "rogue"))
    assert error.refusal is FileRefusalReason.SIGNER_UNKNOWN
    assert error.fingerprint == fingerprint_of(der("keys/rogue"))


def test_naming_the_believed_signer_beside_himself_does_not_help_him(store):
    assert (
        refused(store, ITL, made(ITL, "rogue", "sast")).refusal is FileRefusalReason.SIGNER_UNKNOWN
    )


def test_a_list_of_the_other_kind_is_no_way_in(store):
    assert (
        refused(store, CTL, made(CTL, "rogue", role=Role.CCM)).refusal
        is FileRefusalReason.SIGNER_UNKNOWN
    )


def test_a_name_in_the_list_that_may_not_sign_does_not_help_him(store):
    # The TFTP server signs files, not lists.
    assert refused(store, ITL, made(ITL, "tftp")).refusal is FileRefusalReason.SIGNER_UNKNOWN


def test_another_s_confirmation_does_not_help_him(store):
    confirmed = frozenset({der("keys/itlrecovery")})
    error = refused(store, ITL, made(ITL, "rogue"), confirmed=confirmed)
    assert error.refusal is FileRefusalReason.SIGNER_UNKNOWN


def test_an_old_list_of_the_true_signer_is_not_played_again(store):
    assert refused(store, ITL, made(ITL, "sast", age=6)).refusal is FileRefusalReason.OLDER
