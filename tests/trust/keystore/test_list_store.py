"""Trust lists on disk: kept, never replaced by a refused one, and whole whenever we die."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from softphone import openssl_provider
from softphone.errors import ConfigurationError
from softphone.trust.certificate import fingerprint_of
from softphone.trust.keystore import TrustListStore, bootstrap_of
from softphone.trust.lists import (
    SHA_1_NOTE,
    Bootstrap,
    FileRefusalReason,
    FileRefused,
    ListKind,
    ListPolicy,
    RecordFields,
    Role,
    TrustBasis,
    TrustLists,
    new_trust_list,
    parse_trust_list,
)
from tests.support.cisco import TIMESTAMP, certificate, der, signer, vector

CTL, ITL = ListKind.CTL, ListKind.ITL
WALL = datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC)
SAST = fingerprint_of(der("keys/sast"))
FIRST_USE = Bootstrap(first_use=True)
PIN = Bootstrap(pins=frozenset({SAST}))
TFTP_AND_TVS = ((Role.TFTP, "tftp"), (Role.TVS, "tvs"))


def made(kind=ITL, by="sast", records=TFTP_AND_TVS, age=0) -> bytes:
    """A list signed by `by`."""
    fields = [RecordFields(Role.SAST, certificate(f"keys/{by}"))]
    fields += [RecordFields(role, certificate(f"keys/{name}")) for role, name in records]
    return new_trust_list(kind, fields, signer(by), timestamp=TIMESTAMP - age)


CTL_1 = made(CTL, records=((Role.CCM_TFTP, "callmanager"),), age=10)
CTL_2 = made(CTL, records=((Role.CCM_TFTP, "callmanager"), (Role.CAPF, "capf")))
ITL_1 = made(age=10)
ITL_2 = made()


@pytest.fixture
def store(tmp_path) -> TrustListStore:
    return TrustListStore(tmp_path / "store")


def files(store) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in store.folder.iterdir()}


def test_an_empty_store_holds_nothing_and_makes_nothing(store):
    assert store.held() == TrustLists()
    assert store.accepted() == ()
    assert store.reset() == ()
    assert not store.folder.exists()


def test_what_was_accepted_is_there_in_another_life(store):
    found = store.accept_list(CTL, CTL_1, wall=WALL, bootstrap=PIN)
    assert found.basis is TrustBasis.PIN
    later = WALL + timedelta(hours=1)
    assert store.accept_list(ITL, ITL_1, wall=later).basis is TrustBasis.CTL
    again = TrustListStore(store.folder)
    assert again.held() == TrustLists(parse_trust_list(CTL_1), parse_trust_list(ITL_1))
    ctl, itl = again.accepted()
    assert (ctl.basis, ctl.signer, ctl.accepted) == (TrustBasis.PIN, SAST, WALL)
    assert (itl.basis, itl.signer, itl.accepted) == (TrustBasis.CTL, SAST, later)


def test_files_are_for_their_owner_only(store):
    store.accept_list(CTL, CTL_1, wall=WALL, bootstrap=PIN)
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in store.folder.iterdir()} == {0o600}


def test_the_ctl_comes_first_and_vouches_for_the_itl(store):
    renewal = store.renew({ITL: ITL_1, CTL: CTL_1}, wall=WALL, bootstrap=PIN)
    assert [kind for kind, _ in renewal.outcomes] == [CTL, ITL]
    assert renewal.lists == store.held()


def test_a_refused_list_replaces_nothing(store):
    store.renew({ITL: ITL_1, CTL: CTL_1}, wall=WALL, bootstrap=PIN)
    before = files(store)
    for data, refusal in (
        (made(by="rogue"), FileRefusalReason.SIGNER_UNKNOWN),
        (made(age=20), FileRefusalReason.OLDER),
        (ITL_2[:-1], FileRefusalReason.MALFORMED),
        (CTL_2, FileRefusalReason.NAME_MISMATCH),
    ):
        with pytest.raises(FileRefused) as caught:
            store.accept_list(ITL, data, wall=WALL)
        assert caught.value.refusal is refusal
        assert files(store) == before


def test_a_stranger_is_refused_with_the_fingerprint_and_nothing_is_stored(store):
    with pytest.raises(FileRefused) as caught:
        store.accept_list(ITL, ITL_1, wall=WALL)
    assert caught.value.refusal is FileRefusalReason.NO_ANCHOR
    assert caught.value.fingerprint == SAST
    assert store.held() == TrustLists()


def test_an_empty_file_is_no_list_and_in_a_renewal_it_is_missing(store):
    with pytest.raises(FileRefused):
        store.accept_list(ITL, b"", wall=WALL)
    assert store.renew({ITL: b""}, wall=WALL).outcomes == ()


def test_a_check_decides_the_same_and_stores_nothing(store):
    assert store.check(CTL, CTL_1, bootstrap=PIN).basis is TrustBasis.PIN
    assert not store.folder.exists()
    store.accept_list(CTL, CTL_1, wall=WALL, bootstrap=PIN)
    before = files(store)
    assert store.check(ITL, ITL_1).basis is TrustBasis.CTL
    with pytest.raises(FileRefused):
        store.check(ITL, made(by="rogue"))
    assert files(store) == before


def test_a_bootstrap_is_a_fingerprint_a_certificate_or_the_first_use(tmp_path):
    colons = ":".join(SAST[at : at + 2] for at in range(0, 64, 2)).upper()
    pem = tmp_path / "sast.pem"
    pem.write_bytes(vector("keys/sast.pem"))
    for pin in (SAST, colons, f"sha256:{SAST}", str(pem)):
        assert bootstrap_of([pin]) == PIN
    assert bootstrap_of([], first_use=True) == Bootstrap(first_use=True)
    assert bootstrap_of([]) == Bootstrap()
    with pytest.raises(ConfigurationError, match="not both"):
        bootstrap_of([SAST], first_use=True)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        bootstrap_of([SAST[:-1]])


def test_one_whom_tvs_confirms_is_believed_and_it_is_said(store):
    store.accept_list(ITL, ITL_1, wall=WALL, bootstrap=PIN)
    by_another = made(by="itlrecovery")
    found = store.accept_list(
        ITL, by_another, wall=WALL, confirmed=frozenset({der("keys/itlrecovery")})
    )
    assert found.basis is TrustBasis.TVS
    assert [each.basis for each in store.accepted()] == [TrustBasis.TVS]


def test_sha_1_is_noted_and_can_be_forbidden(store, tmp_path):
    weak = vector("trust/ITLFile-sha1.tlv")
    pin = Bootstrap(pins=frozenset({fingerprint_of(der("keys/itlrecovery"))}))
    lenient = TrustListStore(store.folder, policy=ListPolicy(sha_1=True))
    lenient.accept_list(ITL, weak, wall=WALL, bootstrap=pin)
    assert [each.notes for each in store.accepted()] == [(SHA_1_NOTE,)]
    strict = TrustListStore(tmp_path / "strict", policy=ListPolicy(sha_1=False))
    with pytest.raises(FileRefused, match="SHA-1 is forbidden"):
        strict.accept_list(ITL, weak, wall=WALL, bootstrap=pin)


def test_in_fips_mode_a_list_over_sha_1_is_believed_and_noted(store, monkeypatch):
    monkeypatch.setattr(openssl_provider, "_started_with", "/nowhere")
    exempt = TrustListStore(store.folder)
    exempt.accept_list(ITL, vector("trust/ITLFile-sha1.tlv"), wall=WALL, bootstrap=FIRST_USE)
    assert [each.notes for each in exempt.accepted()] == [(SHA_1_NOTE,)]


def test_the_same_list_again_changes_nothing(store):
    store.accept_list(ITL, ITL_1, wall=WALL, bootstrap=PIN)
    before = files(store)
    found = store.accept_list(ITL, ITL_1, wall=WALL + timedelta(days=1))
    assert found.basis is TrustBasis.UNCHANGED
    assert files(store) == before


def test_a_list_that_switches_protection_off_is_held_and_the_next_needs_a_bootstrap_again(store):
    store.accept_list(ITL, ITL_1, wall=WALL, bootstrap=PIN)
    off = store.accept_list(ITL, made(records=()), wall=WALL)
    assert "protection is switched off" in off.notes[0]
    stranger = made(by="rogue")
    with pytest.raises(FileRefused):
        store.accept_list(ITL, stranger, wall=WALL)
    found = store.accept_list(ITL, stranger, wall=WALL, bootstrap=Bootstrap(first_use=True))
    assert found.basis is TrustBasis.FIRST_USE


def test_reset_forgets_all_and_says_what(store):
    store.renew({ITL: ITL_1, CTL: CTL_1}, wall=WALL, bootstrap=PIN)
    (store.folder / "CSFALICE.pem").write_bytes(b"not ours")
    assert store.reset() == (CTL, ITL)
    assert store.held() == TrustLists()
    assert sorted(files(store)) == [".trust-lists.lock", "CSFALICE.pem"]


@pytest.mark.parametrize("damage", [b"", b"\x01", ITL_1[:-1], ITL_1[:600] + b"\xff" + ITL_1[601:]])
def test_a_damaged_list_is_an_error_and_no_second_first_use(store, damage):
    store.accept_list(ITL, ITL_1, wall=WALL, bootstrap=PIN)
    (store.folder / "ITLFile.tlv").write_bytes(damage)
    with pytest.raises(ConfigurationError, match="is not what was stored"):
        store.held()
    with pytest.raises(ConfigurationError, match="reset the trust lists"):
        store.accept_list(ITL, ITL_2, wall=WALL, bootstrap=Bootstrap(first_use=True))
    assert store.reset() == (ITL,)


def test_a_list_in_the_place_of_the_other_is_damage(store):
    store.accept_list(ITL, ITL_1, wall=WALL, bootstrap=PIN)
    (store.folder / "CTLFile.tlv").write_bytes(ITL_1)
    with pytest.raises(ConfigurationError, match="it is a ITL"):
        store.held()


@pytest.mark.parametrize("history", [None, b"{", b"[]", b'{"x": 1}'])
def test_what_is_told_of_a_list_decides_nothing(store, history, caplog):
    store.accept_list(ITL, ITL_1, wall=WALL, bootstrap=PIN)
    path = store.folder / "trust-lists.json"
    path.unlink() if history is None else path.write_bytes(history)
    (found,) = store.accepted()
    assert (found.basis, found.accepted, found.signer) == (None, None, SAST)
    assert store.accept_list(ITL, ITL_2, wall=WALL).basis is TrustBasis.ITL


def test_a_folder_that_cannot_be_written_is_said_to_be(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        TrustListStore(tmp_path / "file" / "x").accept_list(ITL, ITL_1, wall=WALL, bootstrap=PIN)


class Killed(BaseException):
    """The process dies here: nothing after this runs, not even tidying up."""


STEPS = ("fsync", "replace", "unlink")


def die_at(number, monkeypatch, when):
    """Die before, or after, the call number `number` of those that change the disk."""
    calls = 0

    def dying(real):
        def call(*arguments, **named):
            nonlocal calls
            calls += 1
            if calls > number:
                raise Killed
            if calls == number and when == "before":
                raise Killed
            real(*arguments, **named)
            if calls == number:
                raise Killed

        return call

    for step in STEPS:
        monkeypatch.setattr(os, step, dying(getattr(os, step)))


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("first", [True, False])
def test_killed_at_any_write_the_store_opens_with_a_list_old_or_new(
    store, monkeypatch, when, first
):
    old, new = {CTL: CTL_1, ITL: ITL_1}, {CTL: CTL_2, ITL: ITL_2}
    good = {None, *new.values()} if first else {*old.values(), *new.values()}
    seen = set()
    for number in range(1, 100):
        store.reset()
        if not first:
            store.renew(old, wall=WALL, bootstrap=PIN)
        with monkeypatch.context() as patch:
            die_at(number, patch, when)
            try:
                store.renew(new, wall=WALL, bootstrap=PIN)
            except Killed:
                over = False
            else:
                over = True
        held = store.held()
        lists = tuple(each and each.data for each in (held.ctl, held.itl))
        assert set(lists) <= good
        assert all(each.basis is not None for each in store.accepted())
        seen.add(lists)
        if over:
            break
        store.renew(new, wall=WALL, bootstrap=PIN)
        assert store.held() == TrustLists(parse_trust_list(CTL_2), parse_trust_list(ITL_2))
        assert len(files(store)) == 4
    assert over
    assert number > 10
    # Neither, the CTL alone, both: and never the ITL before the CTL.
    start = (None, None) if first else (CTL_1, ITL_1)
    assert seen == {start, (CTL_2, start[1]), (CTL_2, ITL_2)}


RENEW = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from softphone.trust.keystore.list_store import TrustListStore, bootstrap_of
from softphone.trust.lists.trust_list import ListKind

folder, new, number = Path(sys.argv[1]), Path(sys.argv[2]).read_bytes(), int(sys.argv[3])
real, calls = os.replace, 0

def replace(*arguments, **named):
    global calls
    calls += 1
    if calls == number:
        os.kill(os.getpid(), signal.SIGKILL)
    real(*arguments, **named)

os.replace = replace
TrustListStore(folder).accept_list(ListKind.ITL, new, wall=datetime.now(UTC))
"""


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_process_that_is_killed_leaves_a_store_that_opens(store, tmp_path, number):
    store.accept_list(ITL, ITL_1, wall=WALL, bootstrap=PIN)
    new = tmp_path / "new.tlv"
    new.write_bytes(ITL_2)
    command = [sys.executable, "-c", RENEW, str(store.folder), str(new), str(number)]
    died = subprocess.run(command, check=False, timeout=120)
    assert died.returncode == -9
    left = [path for path in store.folder.iterdir() if len(path.suffixes) > 1]
    assert left, "it was killed with a file written aside"
    held = store.held().itl
    assert held is not None
    assert held.data == (ITL_1 if number < 3 else ITL_2)
    store.accept_list(ITL, ITL_2, wall=WALL)
    assert sorted(files(store)) == [".trust-lists.lock", "ITLFile.tlv", "trust-lists.json"]


def test_two_processes_renew_at_a_time(store, tmp_path):
    store.accept_list(ITL, ITL_1, wall=WALL, bootstrap=PIN)
    new = tmp_path / "new.tlv"
    new.write_bytes(ITL_2)
    command = [sys.executable, "-c", RENEW, str(store.folder), str(new), "0"]
    started = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait(30) for process in started] == [0, 0]
    held = store.held().itl
    assert held is not None
    assert held.data == ITL_2
    assert Path(store.folder / "trust-lists.json").read_text().count("accepted") == 1
